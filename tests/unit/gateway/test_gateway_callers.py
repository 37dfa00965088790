"""Each caller is told once, whatever order the words about its request come in."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.errors import DeadlineExceeded, Refusal, Unavailable
from services.gateway.inference.callers import Caller, Callers, Outcome
from services.gateway.inference.replies import Reply

KEYS = (b"a", b"b", b"c")
REPLIES = {key: Reply(key, b"{}", None) for key in KEYS}


@given(
    st.lists(st.tuples(st.sampled_from(["acknowledge", "answer", "refuse", "expire"]), st.sampled_from(KEYS)))
)
def test_who_is_removed_before_being_told_is_told_once(words: list[tuple[str, bytes]]) -> None:
    callers = Callers()
    told: dict[bytes, list[Outcome]] = {key: [] for key in KEYS}
    for key in KEYS:
        callers.add(key, Caller(told[key].append, seconds=1.0, until=1.0))
    for word, key in words:
        if word == "acknowledge":
            waiting = callers.find(key)
            if waiting is not None:
                waiting.acknowledge()
            continue
        ended = callers.remove(key)
        if ended is None:
            continue
        if word == "answer":
            ended.answer(REPLIES[key])
        else:
            ended.refuse(Unavailable("no"))
    ends = {
        key: next((word for word, of in words if of == key and word != "acknowledge"), None) for key in KEYS
    }
    for key, end in ends.items():
        assert len(told[key]) == (end is not None)
        assert (callers.find(key) is None) == (end is not None)
        if end is not None:
            assert isinstance(told[key][0], Reply if end == "answer" else Refusal)
    assert len(callers) == sum(end is None for end in ends.values())


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans())), st.floats(0, 20))
def test_overdue_are_those_whose_time_has_come(gaps: list[tuple[float, bool]], now: float) -> None:
    """Callers that wait for ever, as those who have been accepted do, hide nobody behind them."""
    callers, until, due = Callers(), 0.0, []
    for place, (gap, for_ever) in enumerate(gaps):
        until += gap
        key = str(place).encode()
        callers.add(key, Caller(lambda _: None, seconds=5.0, until=None if for_ever else until))
        if until <= now and not for_ever:
            due.append(key)
    assert callers.overdue(now) == due


class TestOneWhoWaitsToBeAccepted:
    """As for a 202: refused before Kafka has the request it is that which fails, afterwards the reply."""

    def caller(self) -> tuple[Caller, "asyncio.Future[None]", list[Outcome]]:
        told: list[Outcome] = []
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return Caller(told.append, seconds=1.0, until=1.0, accepted=accepted), accepted, told

    async def refused_before(self) -> None:
        caller, accepted, told = self.caller()
        caller.refuse(Unavailable("no"))
        caller.refuse(Unavailable("again"))
        with pytest.raises(Unavailable, match="no"):
            await accepted
        assert not told

    async def refused_after(self) -> None:
        caller, accepted, told = self.caller()
        caller.acknowledge()
        await accepted
        caller.refuse(DeadlineExceeded("late"))
        assert [type(outcome) for outcome in told] == [DeadlineExceeded]

    async def answered_before(self) -> None:
        """The reply was quicker than Kafka's word on the request."""
        caller, accepted, told = self.caller()
        caller.answer(REPLIES[b"a"])
        await accepted
        caller.acknowledge()
        assert told == [REPLIES[b"a"]]

    @pytest.mark.parametrize("story", ["refused_before", "refused_after", "answered_before"])
    def test_it(self, story: str) -> None:
        asyncio.run(getattr(self, story)())
