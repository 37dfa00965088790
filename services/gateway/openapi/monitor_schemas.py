"""The schemas of labels, monitors and alerts that the OpenAPI document refers to."""

from typing import get_args

from atalaia.alerts import Status
from atalaia.alerts.events import Monitor
from atalaia.records import Role
from services.gateway.openapi.components import Members, object_of, ref

_STRING: Members = {"type": "string"}
_WORD: Members = {"type": "string", "minLength": 1, "maxLength": 200}
_TIME: Members = {"type": "string", "description": "RFC 3339", "examples": ["2026-01-31T12:00:00Z"]}
_VALUE: Members = {"type": ["string", "number", "boolean", "null"]}
_CONTEXT_VALUE: Members = {"type": ["string", "number", "null"]}
_PLACE: Members = {"type": "integer", "minimum": 0, "description": "place of the row in its request"}
_ROLE: Members = {"type": "string", "enum": list(get_args(Role))}
_MATCHERS: Members = {
    "type": "object",
    "description": "what is left out matches all",
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("fingerprint", "model", "version", "subject"), _WORD),
        "monitor": {"type": "string", "enum": list(get_args(Monitor))},
    },
}
_REQUEST = {**_STRING, "description": "of the request, also one that came by another way"}
_LABEL = {"id": _REQUEST, "label": _VALUE}
_WHEN = {**_TIME, "description": "when the truth was known; left out, when it was accepted"}
_MODEL = {**_STRING, "description": "where the route names none; else the default model"}

SCHEMAS: Members = {
    "Label": object_of(
        _LABEL,
        row=_PLACE,
        time=_WHEN,
        context={"type": "object", "additionalProperties": _CONTEXT_VALUE},
        model=_MODEL,
    ),
    "LabelColumns": object_of(
        {
            "ids": {"type": "array", "items": _REQUEST},
            "labels": {"type": "array", "items": _VALUE, "description": "as many as ids, as all columns"},
        },
        rows={"type": "array", "items": _PLACE},
        times={"type": "array", "items": _WHEN},
        context={"type": "object", "additionalProperties": {"type": "array", "items": _CONTEXT_VALUE}},
        model=_MODEL,
    ),
    "Labels": {
        "anyOf": [
            ref("schemas", "Label"),
            {"type": "array", "minItems": 1, "items": ref("schemas", "Label")},
            ref("schemas", "LabelColumns"),
        ]
    },
    "Accepted": object_of({"accepted": {"type": "integer", "description": "labels that are durable"}}),
    "MonitorResult": {
        **object_of(
            {
                "model": _STRING,
                "version": _STRING,
                "role": _ROLE,
                "window": object_of({"start": _TIME, "end": _TIME}),
                "revision": {"type": "integer"},
                "provisional": {"type": "boolean", "description": "whether more is expected"},
                "cut": {"type": "object", "description": "the positions it is a function of"},
            }
        ),
        "description": "the message of the monitor's topic as it is, with members of its own",
    },
    "MonitorResults": object_of(
        {
            "model": _STRING,
            "monitor": _STRING,
            "not_kept": {
                "type": "array",
                "description": "windows that were published but are held on the topic only",
                "items": object_of(
                    {"version": _STRING, "role": _ROLE, "windows": {"type": "integer"}, "until": _TIME}
                ),
            },
            "results": {
                "type": "array",
                "description": "the latest revision of each window, by their ends",
                "items": ref("schemas", "MonitorResult"),
            },
        }
    ),
    "Alert": object_of(
        {
            "id": _STRING,
            "fingerprint": _STRING,
            "status": {"type": "string", "enum": list(get_args(Status))},
            "severity": _STRING,
            "model": _STRING,
            "version": _STRING,
            "monitor": _STRING,
            "subject": _STRING,
            "since": _TIME,
            "until": {"type": ["string", "null"]},
            "evidence": {"type": "object"},
            "silenced_by": {"type": "array", "items": _STRING, "description": "ids of silences"},
            "acknowledged_by": {"type": "array", "items": _STRING},
        },
        reason=_STRING,
    ),
    "Alerts": object_of({"alerts": {"type": "array", "items": ref("schemas", "Alert")}}),
    "AcknowledgementNote": {
        **object_of({"by": _WORD}, comment={**_STRING, "maxLength": 2_000}),
        "additionalProperties": False,
    },
    "Acknowledgement": object_of(
        {
            "id": _STRING,
            "fingerprint": _STRING,
            "since": _TIME,
            "by": _STRING,
            "at": _TIME,
            "comment": _STRING,
        }
    ),
    "SilenceNote": {
        **object_of(
            {"by": _WORD, "matchers": _MATCHERS},
            starts_at={**_TIME, "description": "left out, now"},
            ends_at={**_TIME, "description": "either this or duration"},
            duration={**_STRING, "examples": ["2h"], "description": "30m, 2h, 7d"},
            comment={**_STRING, "maxLength": 2_000},
        ),
        "additionalProperties": False,
    },
    "Silence": object_of(
        {
            "id": _STRING,
            "starts_at": _TIME,
            "ends_at": _TIME,
            "by": _STRING,
            "comment": _STRING,
            "matchers": _MATCHERS,
        }
    ),
    "Silences": object_of({"silences": {"type": "array", "items": ref("schemas", "Silence")}}),
}
