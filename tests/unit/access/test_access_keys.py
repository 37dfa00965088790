"""The file of keys: what is written is read again, and what is wrong is named and never repeated."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.access import SCOPES, Key, digest_of, new_key, read_keys, write_keys
from atalaia.errors import SettingsError

ZONES = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))
TIMES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001
KEYS = st.builds(
    Key,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    digest=st.binary(min_size=32, max_size=32),
    scopes=st.lists(st.sampled_from(SCOPES), min_size=1, unique=True).map(tuple),
    created=TIMES,
    rate=st.none() | st.floats(0.001, 1e6),
    expires=st.none() | TIMES,
)
ENTRY = f"""
[[keys]]
name = "lab"
hash = "sha256:{"ab" * 32}"
scopes = ["infer"]
created = 2026-01-31T12:00:00Z
"""


@given(keys=st.lists(KEYS, max_size=4, unique_by=lambda key: key.digest))
def test_what_is_written_is_read_again(keys: list[Key]) -> None:
    assert list(read_keys(write_keys(keys))) == keys


@given(text=st.text(max_size=80) | st.text(max_size=20).map(lambda tail: ENTRY + tail))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SettingsError):
        read_keys(text)


def test_an_entry_by_hand_is_read() -> None:
    (key,) = read_keys(ENTRY)
    assert (key.name, key.scopes, key.rate, key.expires, key.id) == ("lab", ("infer",), None, None, "ab" * 4)
    assert key.created == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("[[keys]]", "[[keys", "not TOML"),
        ("[[keys]]", "[keys]", "tables"),
        ("[[keys]]", "[[kys]]", "something else"),
        ('"lab"', '"a b"', "name"),
        ('"lab"', "7", "name"),
        ("sha256:", "md5:", "hash"),
        ("abab", "xyxy", "hash"),
        ("abab", "ab", "hash"),
        ('["infer"]', '["root"]', "infer, label, admin"),
        ('["infer"]', "[]", "infer, label, admin"),
        ('["infer"]', '"infer"', "infer, label, admin"),
        ('["infer"]', "[[1], {}]", "infer, label, admin"),
        ("12:00:00Z", "12:00:00", "zone"),
        ("2026-01-31T12:00:00Z", "2026-01-31", "zone"),
        ("2026-01-31T12:00:00Z", "0001-01-01T00:00:00+14:00", "out of all time"),
        ("created", "expires", "created"),
        ("created", "expiry", "expiry"),
        ("created", "rate = 0\ncreated", "rate"),
        ("created", "rate = -1\ncreated", "rate"),
        ("created", "rate = nan\ncreated", "rate"),
        ("created", "rate = true\ncreated", "rate"),
        ("created", f"rate = {10**400}\ncreated", "rate"),
    ],
)
def test_a_wrong_entry_is_named(before: str, after: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        read_keys(ENTRY.replace(before, after))


def test_a_key_there_twice_is_named() -> None:
    with pytest.raises(SettingsError, match=r"key 2 \(lab\) is there twice"):
        read_keys(ENTRY + ENTRY)


def test_a_key_written_where_its_hash_belongs_is_not_repeated() -> None:
    key = new_key()
    with pytest.raises(SettingsError) as refused:
        read_keys(ENTRY.replace(f"sha256:{'ab' * 32}", key))
    assert key not in str(refused.value)


def test_keys_are_long_and_no_two_are_alike() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) >= 4 + 43 and key.startswith("atl_") for key in keys)
    assert len({digest_of(key.encode()) for key in keys}) == 100
