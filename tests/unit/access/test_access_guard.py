"""Who is let in: by key, scope, time and rate, with clocks of the test's own."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.access import (
    SCOPES,
    AccessRefusal,
    Credentials,
    Forbidden,
    Guard,
    Key,
    RateLimited,
    Scope,
    TokenBucket,
    Unauthorized,
    digest_of,
    new_key,
    presented_key,
)

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = CREATED.timestamp()

    def __call__(self) -> float:
        return self.now


def made(
    name: str = "lab",
    *scopes: Scope,
    rate: float | None = None,
    expires: datetime | None = None,
) -> tuple[str, Key]:
    secret = new_key()
    return secret, Key(name, digest_of(secret.encode()), scopes or ("infer",), CREATED, rate, expires)


def guard_of(*keys: Key, clock: Clock | None = None) -> Guard:
    clock = clock or Clock()
    return Guard(keys, wall_seconds=clock, monotonic_seconds=clock)


def bearer(secret: str) -> Credentials:
    return Credentials(authorization=b"Bearer " + secret.encode())


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(authorization=b"Bearer K"),
        Credentials(authorization=b"bearer  K "),
        Credentials(authorization=b"BEARER K"),
        Credentials(api_key=b" K"),
        Credentials(authorization=b"Basic dTpw", api_key=b"K"),
        Credentials(authorization=b"Bearer K", api_key=b""),
    ],
)
def test_a_key_is_read_from_either_header(credentials: Credentials) -> None:
    assert presented_key(credentials) == b"K"


@pytest.mark.parametrize(
    "value", [b"", b"K", b"Bearer", b"Bearer ", b"BearerK", b"Basic dTpw", b"Bearer a b"]
)
def test_an_authorization_that_makes_no_sense_is_told_what_was_expected(value: bytes) -> None:
    with pytest.raises(Unauthorized, match="Authorization: Bearer KEY") as refused:
        presented_key(Credentials(authorization=value))
    assert "invalid_request" in refused.value.headers["www-authenticate"]
    assert not value.strip() or value.decode() not in refused.value.detail.replace("Bearer KEY", "")


@given(value=st.binary(max_size=40), api_key=st.none() | st.binary(max_size=40))
def test_any_header_lets_nobody_in_who_has_no_key(value: bytes, api_key: bytes | None) -> None:
    guard = guard_of(made()[1])
    with pytest.raises(Unauthorized):
        guard.admit(Credentials(value, api_key), ("infer",))


def test_a_right_key_is_its_name_again_and_again() -> None:
    secret, key = made("lab", "infer", "label")
    guard = guard_of(made("other")[1], key)
    for _ in range(3):
        assert guard.admit(bearer(secret), ("infer",)) == "lab"
        assert guard.admit(Credentials(api_key=secret.encode()), ("label",)) == "lab"


def test_every_refusal_says_what_to_do_and_none_repeats_the_key() -> None:
    secret, key = made("lab", "infer")
    clock = Clock()
    late_secret, late = made("late", expires=datetime(2025, 12, 31, tzinfo=UTC))
    guard = guard_of(key, late, clock=clock)
    cases: list[tuple[Credentials, type[AccessRefusal], str, str]] = [
        (Credentials(), Unauthorized, "needs a key", 'Bearer realm="atalaia"'),
        (bearer(secret + "x"), Unauthorized, "not known", "invalid_token"),
        (bearer(late_secret), Unauthorized, "expired at 2025-12-31", "invalid_token"),
        (bearer(secret), Forbidden, "needs the scope label; the key of lab has infer", 'scope="label"'),
    ]
    for credentials, kind, told, header in cases:
        with pytest.raises(kind, match=told) as refused:
            guard.admit(credentials, ("label",))
        assert header in refused.value.headers["www-authenticate"]
        assert secret not in refused.value.detail + str(refused.value.headers)


def test_a_key_ends_at_its_time_though_it_was_right_before() -> None:
    clock = Clock()
    secret, key = made(expires=datetime(2026, 1, 2, tzinfo=UTC))
    guard = guard_of(key, clock=clock)
    clock.now += 86_399
    assert guard.admit(bearer(secret), ("infer",)) == "lab"
    clock.now += 1
    with pytest.raises(Unauthorized, match="expired"):
        guard.admit(bearer(secret), ("infer",))


@given(
    given_=st.sets(st.sampled_from(SCOPES), min_size=1), needed=st.sets(st.sampled_from(SCOPES), min_size=1)
)
def test_one_scope_of_those_needed_is_enough_and_none_is_not(given_: set[Scope], needed: set[Scope]) -> None:
    secret, key = made("lab", *sorted(given_))
    guard = guard_of(key)
    try:
        guard.admit(bearer(secret), tuple(sorted(needed)))
    except Forbidden:
        assert not given_ & needed
    else:
        assert given_ & needed


def test_other_keys_take_the_place_of_those_before_and_spent_tokens_stay_spent() -> None:
    secret, key = made(rate=1.0)
    other_secret, other = made("other")
    guard = guard_of(key)
    guard.admit(bearer(secret), ("infer",))
    guard.replace([key, other])
    assert guard.admit(bearer(other_secret), ("infer",)) == "other"
    with pytest.raises(RateLimited):
        guard.admit(bearer(secret), ("infer",))
    guard.replace([other])
    with pytest.raises(Unauthorized):
        guard.admit(bearer(secret), ("infer",))


def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    clock = Clock()
    secret, key = made(rate=0.25)
    guard = guard_of(key, clock=clock)
    guard.admit(bearer(secret), ("infer",))
    with pytest.raises(RateLimited, match=r"0\.25 requests a second") as refused:
        guard.admit(bearer(secret), ("infer",))
    assert refused.value.retry_after_seconds == 4
    assert refused.value.headers == {"ratelimit": '"key";r=0;t=4', "ratelimit-policy": '"key";q=1;w=4'}
    clock.now += 4
    guard.admit(bearer(secret), ("infer",))


def test_what_is_not_allowed_takes_no_token() -> None:
    secret, key = made(rate=1.0)
    guard = guard_of(key)
    for _ in range(5):
        with pytest.raises(Forbidden):
            guard.admit(bearer(secret), ("admin",))
    assert guard.admit(bearer(secret), ("infer",)) == "lab"


@given(
    rate=st.floats(0.001, 1e4),
    steps=st.lists(st.floats(-1.0, 10.0) | st.just(0.0), min_size=1, max_size=200),
)
def test_no_span_of_time_lets_in_more_than_the_rate_and_one_burst(rate: float, steps: list[float]) -> None:
    bucket, now, latest, let_in = TokenBucket(rate, now_seconds=0.0), 0.0, 0.0, []
    for step in steps:
        now = max(now + step, 0.0)
        latest = max(latest, now)
        wait = bucket.take(now)
        assert wait >= 0.0
        if not wait:
            let_in.append(latest)
    for first, begun in enumerate(let_in):
        for last in range(first, len(let_in)):
            allowed = rate * (let_in[last] - begun) + max(rate, 1.0)
            assert last - first + 1 <= allowed * (1 + 1e-9) + 1e-6


@given(rate=st.floats(0.001, 1e4), taken=st.integers(0, 50))
def test_whoever_waits_as_told_is_let_in(rate: float, taken: int) -> None:
    bucket, now = TokenBucket(rate, now_seconds=0.0), 0.0
    for _ in range(taken):
        bucket.take(now)
    wait = bucket.take(now)
    if wait:
        assert bucket.take(now + wait * (1 + 1e-9) + 1e-9) == 0.0


def test_what_is_remembered_of_right_keys_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atalaia.access.guard._REMEMBERED", 10)
    secret, key = made()
    guard = guard_of(key)
    for spaces in range(100):
        credentials = Credentials(authorization=b"Bearer " + b" " * spaces + secret.encode())
        assert guard.admit(credentials, ("infer",)) == "lab"
        assert len(guard._right) <= 10
