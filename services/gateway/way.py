"""The way of an inference request, the same for every protocol: read, publish, wait, judge the reply."""

from collections.abc import Callable
from typing import Any

from atalaia.errors import Unavailable
from services.gateway.calls import Call
from services.gateway.gateway import Gateway
from services.gateway.inference.answers import Answer, read_answer
from services.gateway.inference.intake import Asked, Intake
from services.gateway.inference.replies import Reply
from services.gateway.inference.served import Served
from services.gateway.kept.asking import ask_kept
from services.gateway.kept.preferences import read_preferences

_ABSTAINED = b"abstained"

Reader = Callable[[Intake, bytes], Asked]
"""Reads a body in one of the protocols."""


def begin(
    gateway: Gateway, call: Call, read: Reader, body: bytes, *, model: str | None, version: str | None
) -> Asked:
    """What a body that was read asks for, fit to be published.

    Raises
    ------
    Refusal
        any of them.
    """
    gateway.exchange.admit()
    call.check_client_id()
    call.request_bytes = len(body)
    intake = Intake(gateway.view(), model, version, call.client_id, gateway.settings.max_rows)
    try:
        asked = read(intake, body)
    finally:
        if intake.served is not None:
            call.model, call.version = intake.served.name, intake.served.version
    call.rows = len(asked.rows)
    if asked.id is not None:
        call.request_id = asked.id
    if gateway.settings.log_inputs:
        call.inputs = _columns(asked.served, asked)
    return asked


async def ask(gateway: Gateway, call: Call, asked: Asked, body: bytes, *, path: str) -> Reply:
    """The reply to what is asked; ``body`` and ``path`` are what an Idempotency-Key is for.

    Raises
    ------
    Refusal
        any of them.
    """
    wanted = read_preferences(call.prefer, call.idempotency_key)
    if not wanted.asynchronous and wanted.key is None:
        return await gateway.exchange.ask(
            call.key.encode(),
            asked.body,
            model=asked.served.name,
            version=asked.version,
        )
    return await ask_kept(
        gateway.exchange,
        gateway.memory,
        call,
        asked,
        wanted,
        body=body,
        path=path,
        deadline_seconds=gateway.settings.deadline,
    )


def conclude(gateway: Gateway, call: Call, asked: Asked, reply: Reply) -> Answer:
    """What a reply says.

    Raises
    ------
    Refusal
        where it is one, or the only row is out of the model's domain.
    """
    if reply.value is None:
        raise Unavailable("the reply was empty; send the request again")
    answer = read_answer(reply.value)
    call.take(answer)
    if gateway.settings.log_predictions:
        call.predictions = answer.outputs
    if reply.outcome == _ABSTAINED:
        served = asked.view.loaded.get((answer.model, answer.version), asked.served)
        raise served.refuse_row(asked.rows.numeric[0], answer.outputs["applicability"][0])
    return answer


def _columns(served: Served, asked: Asked) -> dict[str, list[Any]]:
    """The features of a request, by name."""
    numeric = iter(asked.rows.numeric.T.tolist())
    return {
        feature.name: next(numeric) if feature.numeric else asked.rows.strings[feature.name].tolist()
        for feature in served.manifest.features
    }
