"""Requests whose answer is kept: asynchronous ones, and those with an Idempotency-Key."""

import asyncio

import orjson
import structlog
from starlette.responses import Response

from atalaia.errors import DeadlineExceeded, Refusal
from services.gateway.calls import Call, Later
from services.gateway.inference.exchange import Exchange
from services.gateway.inference.intake import Asked
from services.gateway.inference.replies import Reply
from services.gateway.kept.memory import Claim, Memory, MemoryUnavailable
from services.gateway.kept.preferences import (
    InFlight,
    KeyReused,
    Preferences,
    claim_name,
    fingerprint,
    new_ticket,
)

_log = structlog.get_logger()
_LEASE_SECONDS = 10.0
"""A claim stands this much longer than its request may take, so that a slow commit lets nobody in."""
_COMING_SECONDS = 0.02
"""An answer that was given is in Redis by then: it leaves together with the response."""


class Accepted(Later):
    """A request that is not waited for: 202, and where its answer will be."""

    def __init__(self, ticket: str) -> None:
        location = location_of(ticket)
        body = orjson.dumps({"id": ticket, "status": "accepted", "location": location})
        headers = {"location": location, "preference-applied": "respond-async"}
        super().__init__(Response(body, status_code=202, headers=headers, media_type="application/json"))


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
    name = None if wanted.key is None else claim_name(call.principal, path, wanted.key)
    ticket = new_ticket(call.principal)
    if name is None:
        await memory.check()
    else:
        lease_ms = round((deadline_seconds + _LEASE_SECONDS) * 1000)
        claim = await memory.claim(name, fingerprint=fingerprint(body), ticket=ticket, lease_ms=lease_ms)
        kept = await _known(memory, claim, wanted)
        if kept is not None:
            return kept
        ticket = claim.ticket
    call.take_key(ticket)
    try:
        reply = await _ask(exchange, asked, wanted, ticket)
    except DeadlineExceeded:
        await _accepted(memory, name)
        raise
    except Refusal:
        await _released(memory, name)
        raise
    if reply is None:
        await _accepted(memory, name)
        raise Accepted(ticket)
    if name is not None and reply.value is not None:
        memory.keep(ticket, reply.value)
    return reply


def kept_reply(ticket: str, value: bytes) -> Reply:
    """A kept answer as the reply it was."""
    outputs = orjson.loads(value).get("outputs", ())
    abstained: list[bool] = next((entry["data"] for entry in outputs if entry["name"] == "abstained"), [])
    return Reply(ticket.encode(), value, b"abstained" if abstained == [True] else None)


async def _known(memory: Memory, claim: Claim, wanted: Preferences) -> Reply | None:
    """What a claim says without asking anew; None where this request is the one to be answered."""
    if claim.state == "claimed":
        return None
    if claim.state == "reused":
        raise KeyReused(
            f"the Idempotency-Key {wanted.key!r} came with another body before; give this request another key"
        )
    if claim.answer is None and wanted.asynchronous and claim.state == "accepted":
        raise Accepted(claim.ticket)
    answer = claim.answer
    if answer is None:
        answer = await _coming(memory, claim.ticket)
    if answer is not None:
        return kept_reply(claim.ticket, answer)
    raise InFlight(
        f"the first request with the Idempotency-Key {wanted.key!r} is not answered yet; "
        f"ask again, or look at {location_of(claim.ticket)}"
    )


async def _coming(memory: Memory, ticket: str) -> bytes | None:
    """The answer of a first request, where it is given and on its way to Redis."""
    await asyncio.sleep(_COMING_SECONDS)
    return await memory.answer(ticket)


async def _ask(exchange: Exchange, asked: Asked, wanted: Preferences, ticket: str) -> Reply | None:
    key, model, version = ticket.encode(), asked.served.name, asked.version
    if wanted.asynchronous:
        return await exchange.ask_later(
            key, asked.body, model=model, version=version, wait_seconds=wanted.wait_seconds
        )
    return await exchange.ask(key, asked.body, model=model, version=version, kept=True)


async def _accepted(memory: Memory, name: str | None) -> None:
    """Kafka has the request, whatever Redis says to it."""
    if name is not None:
        try:
            await memory.accept(name)
        except MemoryUnavailable:
            _log.warning("a claim could not be confirmed", claim=name)


async def _released(memory: Memory, name: str | None) -> None:
    if name is not None:
        try:
            await memory.release(name)
        except MemoryUnavailable:
            _log.warning("a claim could not be released; it ends with its lease", claim=name)
