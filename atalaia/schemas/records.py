"""JSON Schemas (2020-12) of the records, from the structs themselves."""

import re
from typing import Any

import msgspec

from atalaia.bundles.manifest import Manifest
from atalaia.records import Label, LabelColumns, TimeMark
from atalaia.topics import LABELS, TOPICS, Topic

Document = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

RECORDS: tuple[type[msgspec.Struct], ...] = (
    *dict.fromkeys(topic.value for topic in TOPICS if topic.value is not None),
    LabelColumns,
    TimeMark,
    Manifest,
)
"""The record of each topic and its other forms, and the content of a bundle's ``bundle.toml``."""


def record_schema(record: type[msgspec.Struct]) -> Document:
    """The JSON Schema of one record, with the schemas of its parts in ``$defs``."""
    schema = msgspec.json.schema(record)
    return _tidied({"$schema": DIALECT, "title": record.__name__, **schema})


def payload_schema(topic: Topic, ref_template: str) -> Document:
    """What the value of a message may be, by reference to the schemas of records."""
    if topic.value is None:
        return {"description": "The original bytes, whatever they are; possibly none"}
    if topic is not LABELS:
        return {"$ref": ref_template.format(name=topic.value.__name__)}
    label, columns, mark = (
        {"$ref": ref_template.format(name=record.__name__)} for record in (Label, LabelColumns, TimeMark)
    )
    return {"anyOf": [label, {"type": "array", "items": label}, columns, mark]}


def component_schemas(ref_template: str) -> Document:
    """The schemas of all topics' records and of their parts, by name, referring to each other by path."""
    records = [record for record in RECORDS if record is not Manifest]
    _, components = msgspec.json.schema_components(records, ref_template=ref_template)
    return _tidied(dict(sorted(components.items())))


def _tidied(schema: Document) -> Document:
    """The same schema with descriptions for readers of JSON: no doctests, no indentation of the source."""
    tidied = {key: _tidied_part(part) for key, part in schema.items()}
    description = tidied.get("description")
    if isinstance(description, str):
        prose = description.split(">>>", 1)[0].replace("``", "`").strip()
        tidied["description"] = re.sub(r"[ \t]*\n[ \t]*", "\n", prose)
    return tidied


def _tidied_part(part: Any) -> Any:
    if isinstance(part, list):
        return [_tidied_part(entry) for entry in part]
    return _tidied(part) if isinstance(part, dict) else part
