"""Generated schemas: examples fit them and the records, and every reference leads somewhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import typer
from typer.testing import CliRunner

from atalaia.cli.schemas import schemas
from atalaia.errors import InvalidInput
from atalaia.inference.protocol import decode_request
from atalaia.inference.signature import Signature
from atalaia.records import Label, LabelColumns, TimeMark
from atalaia.schemas.asyncapi import asyncapi_document
from atalaia.schemas.examples import MANIFEST, dead_letter_example, examples
from atalaia.schemas.files import generate, stale, write
from atalaia.schemas.headers import (
    LABEL_HEADERS,
    PREDICTION_HEADERS,
    REPLY_HEADERS,
    REQUEST_HEADERS,
    dead_letter_header_schemas,
)
from atalaia.schemas.records import RECORDS, record_schema
from atalaia.stream import headers
from atalaia.topics import DEAD_LETTERS, LABELS, TOPICS

VALUES = {topic.name: topic.value for topic in TOPICS if topic.value is not None}
EXAMPLES = list(examples())
DOCUMENT = asyncapi_document()

each_example = pytest.mark.parametrize(
    ("topic", "value"),
    [pytest.param(topic, value, id=f"{topic} {variant}") for topic, variant, value in EXAMPLES],
)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for entry in node:
            yield from references(entry)


def resolve(reference: str) -> Any:
    node: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """Of a schema that may refer to anything in the document."""
    return jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def record_of(topic: str, value: bytes) -> Any:
    """The record an example is of: labels have more than one form."""
    if topic != LABELS.name or value.startswith(b"["):
        return list[Label] if value.startswith(b"[") else VALUES[topic]
    return LabelColumns if b'"ids"' in value else TimeMark if b'"kind"' in value else Label


class TestRecords:
    @pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
    def test_each_is_a_sound_schema_of_objects(self, record: type[msgspec.Struct]) -> None:
        schema = record_schema(record)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$schema"].endswith("2020-12/schema")
        assert not jsonschema.Draft202012Validator(schema).is_valid(5)
        assert ">>>" not in json.dumps(schema)

    def test_every_topic_with_values_has_a_schema(self) -> None:
        assert set(VALUES.values()) <= set(RECORDS)

    def test_the_manifest_of_the_examples_fits_its_schema(self) -> None:
        jsonschema.Draft202012Validator(record_schema(type(MANIFEST))).validate(
            json.loads(msgspec.json.encode(MANIFEST))
        )


class TestExamples:
    def test_every_topic_has_one(self) -> None:
        assert {topic for topic, _, _ in EXAMPLES} == VALUES.keys()
        assert len({(topic, variant) for topic, variant, _ in EXAMPLES}) == len(EXAMPLES)

    @each_example
    def test_it_fits_the_schema_of_its_record(self, topic: str, value: bytes) -> None:
        if not value.startswith(b"["):
            schema = record_schema(record_of(topic, value))
            jsonschema.Draft202012Validator(schema).validate(json.loads(value))

    @each_example
    def test_it_fits_the_payload_of_its_message(self, topic: str, value: bytes) -> None:
        validator(DOCUMENT["components"]["messages"][topic]["payload"]).validate(json.loads(value))

    @each_example
    def test_it_comes_back_from_its_record_as_it_was(self, topic: str, value: bytes) -> None:
        record: Any = msgspec.json.decode(value, type=record_of(topic, value))
        assert json.loads(msgspec.json.encode(record)) == json.loads(value)

    def test_requests_are_taken_by_the_model_they_are_for(self) -> None:
        signature = Signature(MANIFEST)
        requests = [decode_request(value) for topic, _, value in EXAMPLES if topic == "requests"]
        tensor, columns = (signature.rows(request) for request in requests)
        assert len(tensor) == 2
        assert len(columns) == 1
        assert columns.event_time_ms is not None

    def test_the_schema_refuses_what_the_record_refuses(self) -> None:
        broken = json.loads(next(value for topic, _, value in EXAMPLES if topic == "requests"))
        del broken["inputs"][0]["shape"]
        schema = record_schema(VALUES["requests"])
        assert not jsonschema.Draft202012Validator(schema).is_valid(broken)
        with pytest.raises(InvalidInput):
            decode_request(json.dumps(broken).encode())

    def test_the_same_code_makes_the_same_examples(self) -> None:
        assert list(examples()) == EXAMPLES
        assert generate() == generate()

    def test_a_dead_letter_has_its_headers_and_the_original_bytes(self) -> None:
        dead = dead_letter_example()
        schemas_of_headers = dead_letter_header_schemas()
        assert dead["headers"].keys() == schemas_of_headers.keys()
        for name, schema in schemas_of_headers.items():
            jsonschema.Draft202012Validator(schema).validate(dead["headers"][name])
        assert dead["headers"]["reason"] == "not_readable"


class TestAsyncApi:
    def test_every_reference_leads_somewhere(self) -> None:
        found = set(references(DOCUMENT))
        assert found
        for reference in found:
            assert reference.startswith("#/")
            assert resolve(reference)

    def test_it_is_version_3_with_a_title_and_a_version(self) -> None:
        assert DOCUMENT["asyncapi"] == "3.0.0"
        assert DOCUMENT["info"]["title"]
        assert DOCUMENT["info"]["version"]
        known = {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
        assert DOCUMENT.keys() == known

    def test_each_topic_is_a_channel_with_its_settings(self) -> None:
        assert list(DOCUMENT["channels"]) == [topic.name for topic in TOPICS]
        for topic in TOPICS:
            channel = DOCUMENT["channels"][topic.name]
            binding = channel["bindings"]["kafka"]
            assert channel["address"] == binding["topic"] == f"atalaia.{topic.name}"
            assert list(channel["messages"]) == [topic.name]
            assert (binding["partitions"], binding["replicas"]) == (topic.partitions, 1)
            configuration = binding["topicConfiguration"]
            declared = topic.settings(replication_factor=1)
            assert configuration["cleanup.policy"] == declared["cleanup.policy"].split(",")
            assert configuration["retention.ms"] == topic.retention_ms
            assert configuration["max.message.bytes"] == int(declared["max.message.bytes"])

    def test_each_who_writes_or_reads_is_an_operation_on_a_channel(self) -> None:
        operations = DOCUMENT["operations"].values()
        assert len(operations) == sum(len(topic.producers) + len(topic.consumers) for topic in TOPICS)
        for operation in operations:
            assert operation["action"] in ("send", "receive")
            channel = operation["channel"]["$ref"]
            assert resolve(channel)["address"]
            assert all(
                message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"]
            )
        scorer = DOCUMENT["operations"]["scorer-writes-predictions"]
        assert (scorer["action"], scorer["channel"]) == ("send", {"$ref": "#/channels/predictions"})

    def test_messages_have_a_key_a_payload_and_examples_that_fit(self) -> None:
        for topic in TOPICS:
            message = DOCUMENT["components"]["messages"][topic.name]
            assert message["bindings"]["kafka"]["key"]["description"] == topic.key
            assert message["payload"]
            assert message["examples"]
            for example in message["examples"]:
                if topic is not DEAD_LETTERS:
                    validator(message["payload"]).validate(example["payload"])
                if "headers" in message:
                    validator(message["headers"]).validate(example.get("headers", {}))

    def test_every_header_of_requests_and_replies_is_described(self) -> None:
        named = {value for name, value in vars(headers).items() if name.isupper()}
        assert (
            named
            == REQUEST_HEADERS.keys()
            | PREDICTION_HEADERS.keys()
            | REPLY_HEADERS.keys()
            | LABEL_HEADERS.keys()
        )


class TestFiles:
    def test_written_files_are_not_stale_and_writing_again_changes_nothing(self, tmp_path: Path) -> None:
        assert set(write(tmp_path)) == set(generate())
        assert stale(tmp_path) == []
        assert write(tmp_path) == []
        assert (tmp_path / "examples/predictions-expired.json").exists()

    def test_what_differs_is_missing_or_is_left_over_is_stale(self, tmp_path: Path) -> None:
        write(tmp_path)
        (tmp_path / "openapi.json").write_text("{}")
        (tmp_path / "asyncapi.json").write_text("{}")
        (tmp_path / "records/ModelRecord.json").unlink()
        (tmp_path / "records/Gone.json").write_text("{}")
        expected = ["asyncapi.json", "records/Gone.json", "records/ModelRecord.json"]
        assert stale(tmp_path) == expected
        assert write(tmp_path) == expected
        assert stale(tmp_path) == []
        assert not (tmp_path / "records/Gone.json").exists()
        assert (tmp_path / "openapi.json").exists()

    def test_the_command_writes_or_checks(self, tmp_path: Path) -> None:
        app = typer.Typer()
        app.command()(schemas)
        run = CliRunner().invoke
        missing = run(app, ["--out", str(tmp_path), "--check"])
        assert missing.exit_code == 1
        assert "asyncapi.json is stale" in missing.stderr
        assert "run `atalaia schemas`" in missing.stderr
        assert not list(tmp_path.iterdir())
        assert run(app, ["--out", str(tmp_path)]).exit_code == 0
        checked = run(app, ["--out", str(tmp_path), "--check"])
        assert (checked.exit_code, checked.output) == (0, "")
