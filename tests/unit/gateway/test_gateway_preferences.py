"""What the headers Prefer and Idempotency-Key say, and what is no sense in them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.kept.preferences import (
    MAX_WAIT_SECONDS,
    BadHeader,
    Preferences,
    claim_name,
    fingerprint,
    new_ticket,
    read_preferences,
    ticket_time_ms,
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Preferences()),
        (b"", Preferences()),
        (b"respond-async", Preferences(asynchronous=True)),
        (b"Respond-Async, wait=10", Preferences(asynchronous=True, wait_seconds=10.0)),
        (b"wait=10", Preferences(wait_seconds=10.0)),
        (b'respond-async , wait = "5"', Preferences(asynchronous=True, wait_seconds=5.0)),
        (b"return=minimal, respond-async; foo=bar", Preferences(asynchronous=True)),
        (b"respond-async, wait=1, wait=9", Preferences(asynchronous=True, wait_seconds=1.0)),
        (b"respond-async, wait=86400", Preferences(asynchronous=True, wait_seconds=MAX_WAIT_SECONDS)),
        (b"handling=lenient", Preferences()),
    ],
)
def test_prefer_is_read_as_rfc_7240_has_it(header: bytes | None, expected: Preferences) -> None:
    assert read_preferences(header, None) == expected


@pytest.mark.parametrize(
    "header", [b"wait=soon", b"wait=-1", b"wait", b"respond-async=yes", b"@", b"respond-async wait=1", b"=1"]
)
def test_a_prefer_that_makes_no_sense_is_named(header: bytes) -> None:
    with pytest.raises(BadHeader, match="Prefer"):
        read_preferences(header, None)


@given(header=st.binary(max_size=60))
def test_any_prefer_is_read_or_named(header: bytes) -> None:
    with contextlib.suppress(BadHeader):
        assert 0 <= read_preferences(header, None).wait_seconds <= MAX_WAIT_SECONDS


@pytest.mark.parametrize(
    ("header", "key"), [(b'"order-7"', "order-7"), (b"order-7", "order-7"), (b' "a b" ', "a b")]
)
def test_an_idempotency_key_is_a_quoted_string_and_a_bare_one_is_taken(header: bytes, key: str) -> None:
    assert read_preferences(None, header).key == key


@pytest.mark.parametrize("header", [b"", b'""', b'"open', b'a"b', b'"' + b"x" * 201 + b'"', b'"a\x00b"'])
def test_an_idempotency_key_that_is_none_is_named(header: bytes) -> None:
    with pytest.raises(BadHeader, match="Idempotency-Key"):
        read_preferences(None, header)


def test_a_key_is_its_principals_and_its_routes_own() -> None:
    names = {
        claim_name(*parts)
        for parts in (
            ("a", "/predict", "k"),
            ("b", "/predict", "k"),
            ("a", "/v2", "k"),
            ("a", "/predict", "l"),
        )
    }
    assert len(names) == 4


def test_bodies_are_told_apart() -> None:
    assert fingerprint(b"{}") == fingerprint(b"{}") != fingerprint(b"{ }")


@given(time_ms=st.integers(0, 2**47))
def test_a_ticket_knows_its_time_and_no_two_are_alike(time_ms: int) -> None:
    one, other = new_ticket("lab", time_ms), new_ticket("lab", time_ms)
    assert one != other
    assert ticket_time_ms(one, "lab") == time_ms


@given(
    time_ms=st.integers(0, 2**47), names=st.lists(st.text(max_size=8), min_size=2, max_size=2, unique=True)
)
def test_a_ticket_is_its_principals_own(time_ms: int, names: list[str]) -> None:
    ticket = new_ticket(names[0], time_ms)
    assert ticket_time_ms(ticket, names[1]) is None
    forged = ticket[:32] + new_ticket(names[1], time_ms)[32:]
    assert ticket_time_ms(forged, names[1]) is None


@given(text=st.text(max_size=40))
def test_what_is_no_ticket_has_no_time(text: str) -> None:
    assert ticket_time_ms(text, "") is None
