"""Alerts as they stand, and what people record about them."""

import time
import uuid
from typing import get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atalaia.alerts import SilenceRecord, Status, rfc3339
from atalaia.errors import FieldProblem, InvalidInput
from atalaia.topics import SILENCES
from services.gateway.calls import Call, routes_of
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import read_body
from services.gateway.http.responses import json_response
from services.gateway.problems import NotFound
from services.gateway.watching.alertbook import present
from services.gateway.watching.notes import (
    AcknowledgeNote,
    SilenceNote,
    acknowledge,
    make_silence,
    read_note,
    shown_silence,
)


def routes(gateway: Gateway) -> list[Route]:
    """Alerts, acknowledgements and silences."""
    alerts = _Alerts(gateway)
    handlers = [
        ("GET", "/alerts", alerts.show),
        ("POST", "/alerts/{fingerprint}/acknowledge", alerts.acknowledge),
        ("GET", "/silences", alerts.silences),
        ("POST", "/silences", alerts.silence),
        ("DELETE", "/silences/{id}", alerts.end),
    ]
    return routes_of(gateway, handlers)


class _Alerts:
    """The handlers; whatever is changed is on Kafka before it is answered, and then read back."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self, request: Request, _: Call) -> Response:
        status, model = request.query_params.get("status"), request.query_params.get("model")
        if status is not None and status not in get_args(Status):
            expected = f"one of {', '.join(get_args(Status))}"
            raise InvalidInput([FieldProblem("status", f"unknown status {status[:80]!r}", expected)])
        shown = self._gateway.alerts().alerts(present(), status=status, model=model)
        return json_response({"alerts": shown})

    async def acknowledge(self, request: Request, _: Call) -> Response:
        note = read_note(await self._body(request), AcknowledgeNote)
        fingerprint = request.path_params["fingerprint"]
        event = self._gateway.alerts().event(fingerprint)
        if event is None:
            raise NotFound(f"there is no alert {fingerprint[:80]!r}; /alerts lists what there is")
        record = acknowledge(note, event, now_ms=_now_ms())
        await self._write(record.id, SilenceRecord(acknowledgement=record))
        return json_response({"comment": "", **msgspec.to_builtins(record)}, status=201)

    async def silences(self, _: Request, __: Call) -> Response:
        known = self._gateway.alerts().silences(present())
        return json_response({"silences": [shown_silence(silence) for silence in known]})

    async def silence(self, request: Request, _: Call) -> Response:
        note = read_note(await self._body(request), SilenceNote)
        silence = make_silence(note, identity=uuid.uuid4().hex, now_ms=_now_ms())
        await self._write(silence.id, SilenceRecord(silence=silence))
        return json_response(shown_silence(silence), status=201)

    async def end(self, request: Request, _: Call) -> Response:
        self._gateway.exchange.admit()
        identity = request.path_params["id"]
        silence = self._gateway.alerts().silence(identity, present())
        if silence is None:
            raise NotFound(
                f"there is no silence {identity[:80]!r}, or it is over; /silences lists those that are not"
            )
        ended = msgspec.structs.replace(silence, ends_at=rfc3339(_now_ms()))
        await self._write(silence.id, SilenceRecord(silence=ended))
        return Response(status_code=204)

    async def _body(self, request: Request) -> bytes:
        self._gateway.exchange.admit()
        self._gateway.alerts()
        return await read_body(request, max_bytes=self._gateway.settings.max_body_bytes)

    async def _write(self, key: str, record: SilenceRecord) -> None:
        written = self._gateway.publisher.publish(SILENCES, key=key, value=msgspec.json.encode(record))
        await self._gateway.follower.reach(SILENCES, await written)


def _now_ms() -> int:
    return int(time.time() * 1000)
