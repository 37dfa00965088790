"""Schemas of Kafka headers: those that ride on requests and replies, and those of dead letters."""

from typing import Any

from atalaia.errors import Refusal
from atalaia.stream.headers import (
    ACCEPTED,
    DEADLINE,
    MARK,
    MODEL,
    OUTCOME,
    REPLY,
    RESULT,
    TRACEPARENT,
    VERSION,
)

Document = dict[str, Any]

_DIGITS = r"^[0-9]+$"

_MARK: Document = {
    "type": "string",
    "description": "There where the value is no message of the topic's own but a mark of time, a TimeMark",
}

REQUEST_HEADERS: Document = {
    REPLY: {
        "type": "string",
        "pattern": _DIGITS,
        "description": "Partition of `replies` on which the caller waits; none where nobody does",
    },
    RESULT: {"type": "string", "description": "There where the answer is kept on `results`, to be fetched"},
    DEADLINE: {
        "type": "string",
        "pattern": _DIGITS,
        "description": "Milliseconds since 1970 after which nobody waits for the reply",
    },
    MODEL: {"type": "string", "description": "The model asked, before whatever the body says"},
    VERSION: {"type": "string", "description": "The version asked"},
    TRACEPARENT: {"type": "string", "description": "W3C trace context of a sampled trace"},
    MARK: _MARK,
}

LABEL_HEADERS: Document = {
    MARK: _MARK,
    ACCEPTED: {
        "type": "string",
        "pattern": _DIGITS,
        "description": "On labels sent on to their model's partition: when they were first accepted, in "
        "milliseconds since 1970",
    },
}

PREDICTION_HEADERS: Document = {
    TRACEPARENT: {"type": "string", "description": "Carried on from the request"},
}

REPLY_HEADERS: Document = {
    OUTCOME: {
        "enum": ["abstained", "failed"],
        "description": "There where the reply is no plain answer: its single row was out of distribution, "
        "or it holds an error",
    },
}


def dead_letter_header_schemas() -> Document:
    """What the headers of a dead letter hold; all are always there."""
    return {
        "topic": {"type": "string", "description": "Where the message lay"},
        "partition": {"type": "string", "pattern": _DIGITS},
        "offset": {"type": "string", "pattern": _DIGITS},
        "reason": {"enum": sorted(_codes(Refusal)), "description": "The refusal's code"},
        "detail": {"type": "string", "description": "What was wrong, in words"},
        "time": {"type": "string", "description": "RFC 3339, when it was given up"},
    }


def _codes(refusal: type[Refusal]) -> set[str]:
    return {refusal.code}.union(*(_codes(kind) for kind in refusal.__subclasses__()))
