"""Requests whose answer is kept: asynchronous ones, and those with an Idempotency-Key."""

import asyncio
from typing import NamedTuple

import orjson
from starlette.responses import Response

from atalaia.errors import DeadlineExceeded, Refusal
from services.gateway.calls import Call, Later
from services.gateway.inference.exchange import Exchange
from services.gateway.inference.intake import Asked
from services.gateway.inference.replies import Reply
from services.gateway.kept.memory import Claim, Memory
from services.gateway.kept.preferences import (
    InFlight,
    KeyReused,
    Preferences,
    claim_name,
    fingerprint,
    new_ticket,
)

_LEASE_SECONDS = 10.0
"""A claim stands this much longer than its request may take, so that a slow commit lets nobody in."""
_COMING_SECONDS = 0.02
"""What a gateway tells Redis leaves with its response: who knows the response finds it there by then."""


class Accepted(Later):
    """A request that is not waited for: 202, and where its answer will be."""

    def __init__(self, ticket: str) -> None:
        location = location_of(ticket)
        body = orjson.dumps({"id": ticket, "status": "accepted", "location": location})
        headers = {"location": location, "preference-applied": "respond-async"}
        super().__init__(Response(body, status_code=202, headers=headers, media_type="application/json"))


class Hold(NamedTuple):
    """A request and the Idempotency-Key it holds, if it has one.

    ``ticket`` is what its answer is found by: that of who claimed the key first, whose place it may have
    taken; ``claimant`` is what it claimed the key with.
    """

    memory: Memory
    name: str | None
    claimant: str
    ticket: str

    def accept(self) -> None:
        """Kafka has the request."""
        if self.name is not None:
            self.memory.accept(self.name, self.ticket)

    def release(self) -> None:
        """Kafka does not have it."""
        if self.name is not None:
            self.memory.release(self.name, self.claimant)

    def keep(self, answer: bytes) -> None:
        """It is answered."""
        if self.name is not None:
            self.memory.keep(self.ticket, answer)


def location_of(ticket: str) -> str:
    """Where the answer of a request is fetched.

    >>> location_of("018f")
    '/v2/requests/018f'
    """
    return f"/v2/requests/{ticket}"


async def ask_kept(
    exchange: Exchange,
    memory: Memory,
    call: Call,
    asked: Asked,
    wanted: Preferences,
    *,
    body: bytes,
    path: str,
    deadline_seconds: float,
) -> Reply:
    """The reply to a request whose answer is kept, or the answer that was kept already.

    ``body`` and ``path`` are the request's own: what its key is compared by and what it is for.

    Raises
    ------
    Accepted
        where it is not waited for.
    Refusal
        KeyReused, InFlight, MemoryUnavailable, and whatever an exchange refuses.
    """
    ticket = new_ticket(call.principal)
    hold = Hold(memory, None, ticket, ticket)
    if wanted.key is None:
        await memory.check()
    else:
        name = claim_name(call.principal, path, wanted.key)
        lease_ms = round((deadline_seconds + _LEASE_SECONDS) * 1000)
        claim = await _claimed(
            memory, name, wanted, fingerprint=fingerprint(body), ticket=ticket, lease_ms=lease_ms
        )
        kept = _known(claim, wanted)
        if kept is not None:
            return kept
        hold = Hold(memory, name, ticket, claim.ticket)
    call.take_key(hold.ticket)
    try:
        reply = await _ask(exchange, asked, wanted, hold)
    except DeadlineExceeded:
        hold.accept()
        raise
    except Refusal:
        hold.release()
        raise
    if reply is None:
        raise Accepted(hold.ticket)
    if reply.value is not None:
        hold.keep(reply.value)
    return reply


def kept_reply(ticket: str, value: bytes) -> Reply:
    """A kept answer as the reply it was."""
    outputs = orjson.loads(value).get("outputs", ())
    abstained: list[bool] = next((entry["data"] for entry in outputs if entry["name"] == "abstained"), [])
    return Reply(ticket.encode(), value, b"abstained" if abstained == [True] else None)


async def _claimed(
    memory: Memory, name: str, wanted: Preferences, *, fingerprint: str, ticket: str, lease_ms: int
) -> Claim:
    """A claim, asked again where what answers it may be on its way to Redis."""
    claim = await memory.claim(name, fingerprint=fingerprint, ticket=ticket, lease_ms=lease_ms)
    if claim.state == "leased" or (claim.state == "accepted" and not wanted.asynchronous):
        await asyncio.sleep(_COMING_SECONDS)
        claim = await memory.claim(name, fingerprint=fingerprint, ticket=ticket, lease_ms=lease_ms)
    return claim


def _known(claim: Claim, wanted: Preferences) -> Reply | None:
    """What a claim says without asking anew; None where this request is the one to be answered."""
    if claim.state == "claimed":
        return None
    if claim.state == "reused":
        raise KeyReused(
            f"the Idempotency-Key {wanted.key!r} came with another body before; give this request another key"
        )
    if claim.answer is not None:
        return kept_reply(claim.ticket, claim.answer)
    if wanted.asynchronous and claim.state == "accepted":
        raise Accepted(claim.ticket)
    raise InFlight(
        f"the first request with the Idempotency-Key {wanted.key!r} is not answered yet; "
        f"ask again, or look at {location_of(claim.ticket)}"
    )


async def _ask(exchange: Exchange, asked: Asked, wanted: Preferences, hold: Hold) -> Reply | None:
    key, model, version = hold.ticket.encode(), asked.served.name, asked.version
    if wanted.asynchronous:
        return await exchange.ask_later(
            key, asked.body, hold.accept, model=model, version=version, wait_seconds=wanted.wait_seconds
        )
    return await exchange.ask(key, asked.body, model=model, version=version, kept=True)
