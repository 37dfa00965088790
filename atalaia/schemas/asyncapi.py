"""The topics as an AsyncAPI 3 document, from their one declaration in `atalaia.topics`."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from atalaia.schemas.examples import dead_letter_example, examples
from atalaia.schemas.headers import (
    LABEL_HEADERS,
    PREDICTION_HEADERS,
    REPLY_HEADERS,
    REQUEST_HEADERS,
    dead_letter_header_schemas,
)
from atalaia.schemas.records import component_schemas, payload_schema
from atalaia.settings import KafkaSettings
from atalaia.topics import DEAD_LETTERS, LABELS, PREDICTIONS, REPLIES, REQUESTS, TOPICS, Topic

Document = dict[str, Any]

CONTRACT_VERSION = "0.1.0"
"""Of what the topics carry: its first two numbers change when a reader or writer would have to."""

BINDING_VERSION = "0.5.0"

_SCHEMA = "#/components/schemas/{name}"

_DESCRIPTION = """\
Everything that travels between the services of Atalaia, and between them and yours. Addresses carry the
default prefix, which is a setting (`ATALAIA_KAFKA__TOPIC_PREFIX`). Values are JSON. Read with
`isolation.level=read_committed`: then `predictions` holds exactly one message a request."""


def asyncapi_document() -> Document:
    """The whole document: a channel a topic, an operation for each who writes or reads it."""
    kafka = KafkaSettings()
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Atalaia", "version": CONTRACT_VERSION, "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic, kafka) for topic in TOPICS},
        "operations": dict(_operations()),
        "components": {
            "messages": {topic.name: _message(topic) for topic in TOPICS},
            "schemas": component_schemas(_SCHEMA),
        },
    }


def _channel(topic: Topic, kafka: KafkaSettings) -> Document:
    address = kafka.topic_prefix + topic.name
    return {
        "address": address,
        "title": topic.name,
        "summary": topic.summary,
        "messages": {topic.name: {"$ref": f"#/components/messages/{topic.name}"}},
        "bindings": {
            "kafka": {
                "topic": address,
                "partitions": topic.partitions,
                "replicas": kafka.replication_factor,
                "topicConfiguration": _topic_configuration(topic, kafka),
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _topic_configuration(topic: Topic, kafka: KafkaSettings) -> Document:
    """The topic's settings as they are created, in the types the Kafka binding declares."""
    settings = topic.settings(replication_factor=kafka.replication_factor)
    typed: Document = {name: int(text) if _is_number(text) else text for name, text in settings.items()}
    return {**typed, "cleanup.policy": settings["cleanup.policy"].split(",")}


def _message(topic: Topic) -> Document:
    message: Document = {
        "name": topic.name if topic.value is None else topic.value.__name__,
        "title": topic.summary,
    }
    headers = _headers(topic)
    if headers:
        message["headers"] = headers
    message["payload"] = payload_schema(topic, _SCHEMA)
    if topic.value is None:
        message["contentType"] = "application/octet-stream"
        message["examples"] = [_bytes_example(topic)]
    else:
        message["examples"] = [
            {"name": "-".join(filter(None, [topic.name, variant])), "payload": orjson.loads(value)}
            for name, variant, value in examples()
            if name == topic.name
        ]
    message["bindings"] = {
        "kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": BINDING_VERSION}
    }
    return message


def _bytes_example(topic: Topic) -> Document:
    if topic is DEAD_LETTERS:
        return {"name": topic.name, **dead_letter_example()}
    return {"name": topic.name, "payload": "the bytes of a detector's state"}


def _headers(topic: Topic) -> Document | None:
    if topic is DEAD_LETTERS:
        schemas = dead_letter_header_schemas()
        return {"type": "object", "properties": schemas, "required": list(schemas)}
    optional = {
        REQUESTS.name: REQUEST_HEADERS,
        PREDICTIONS.name: PREDICTION_HEADERS,
        REPLIES.name: REPLY_HEADERS,
        LABELS.name: LABEL_HEADERS,
    }.get(topic.name)
    return None if optional is None else {"type": "object", "properties": optional}


def _operations() -> Iterator[tuple[str, Document]]:
    for topic in TOPICS:
        for action, who_all in (("send", topic.producers), ("receive", topic.consumers)):
            for who in who_all:
                slug = re.sub(r"[^a-z0-9]+", "-", who.lower())
                verb = "writes" if action == "send" else "reads"
                yield (
                    f"{slug}-{verb}-{topic.name}",
                    {
                        "action": action,
                        "channel": {"$ref": f"#/channels/{topic.name}"},
                        "title": f"{who} {verb} {topic.name}",
                        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{topic.name}"}],
                    },
                )


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
