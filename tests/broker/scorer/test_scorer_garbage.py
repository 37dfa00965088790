"""Whatever lies on `requests` dies with a reason and an error prediction, and the partition goes on."""

import json
import uuid

import pytest

from atalaia.runtime.machine import Machine

from .conftest import TABLE
from .foreign_client import write_with_header
from .log import Headers, Log, output, row, tensor

pytestmark = pytest.mark.broker

PARTITION = 3


def _data(text: str, *, shape: str = "[1, 2]", datatype: str = "FP32") -> bytes:
    described = f'"name": "x", "shape": {shape}, "datatype": "{datatype}"'
    return f'{{"inputs": [{{{described}, "data": {text}}}]}}'.encode()


GARBAGE: dict[str, tuple[bytes | None, str]] = {
    "empty": (b"", "not_readable"),
    "null": (None, "not_readable"),
    "no JSON": (b"hello", "not_readable"),
    "a number": (b"5", "not_readable"),
    "an array": (b"[]", "not_readable"),
    "half": (row(1.0, 2.0)[:-9], "not_readable"),
    "binary": (bytes(range(256)), "not_readable"),
    "invalid UTF-8": (b'{"id": "\xff\xfe", ' + row(1.0, 2.0)[1:], "not_readable"),
    "half a surrogate": (b'{"id": "\\ud800", ' + row(1.0, 2.0)[1:], "not_readable"),
    "deep": (b'{"inputs": ' + b"[" * 200_000, "not_readable"),
    "deep and closed": (b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "not_readable"),
    "an object without inputs": (b"{}", "invalid_input"),
    "no inputs": (b'{"inputs": []}', "invalid_input"),
    "inputs of another kind": (b'{"inputs": {"a": 1}}', "invalid_input"),
    "an unknown datatype": (_data("[1, 2]", datatype="FP8"), "invalid_input"),
    "strings for numbers": (_data('["1", "2"]'), "invalid_input"),
    "null for a number": (_data("[1, null]"), "invalid_input"),
    "NaN": (_data("[1, NaN]"), "invalid_input"),
    "infinity": (_data("[1, Infinity]"), "invalid_input"),
    "a number beyond float": (_data("[1, 1e999]"), "invalid_input"),
    "a number beyond float32": (_data("[1, 1e300]"), "invalid_input"),
    "an integer of 5,000 digits": (_data(f"[1, {'9' * 5_000}]"), "invalid_input"),
    "too few values": (_data("[1]"), "invalid_input"),
    "another width": (_data("[1, 2, 3]", shape="[1, 3]"), "invalid_input"),
    "rows of differing length": (_data("[[1], [2]]"), "invalid_input"),
    "a huge shape": (_data("[1, 2]", shape="[999999999999999999999, 2]"), "invalid_input"),
    "a negative shape": (_data("[1, 2]", shape="[-1, 2]"), "invalid_input"),
    "no rows": (_data("[]", shape="[0, 2]"), "invalid_input"),
    "an unknown category": (
        json.dumps(
            {
                "inputs": [
                    {"name": "a", "shape": [1], "datatype": "FP32", "data": [1.0]},
                    {"name": "b", "shape": [1], "datatype": "FP32", "data": [1.0]},
                    {"name": "sex", "shape": [1], "datatype": "BYTES", "data": ["Z"]},
                ]
            }
        ).encode(),
        "invalid_input",
    ),
    "a time that is none": (row(1.0, 2.0, event_time="yesterday"), "invalid_input"),
    "more rows than can be carried": (
        _data(f"[{'1,' * 299_999}1]", shape="[150000, 2]").replace(b", ", b","),
        "too_large",
    ),
    "an unknown model": (row(1.0, 2.0, model="nobody"), "unknown_model"),
    "an unknown version": (row(1.0, 2.0, version="9"), "unknown_model"),
    "a model that is a number": (row(1.0, 2.0, model=5), "unknown_model"),
    "the model fails": (tensor([[1e6]], model=TABLE), "scoring_failed"),
}

BAD_HEADERS: dict[str, tuple[Headers, str | None]] = {
    "an unknown model": ({"model": b"nobody"}, "unknown_model"),
    "a model of other bytes": ({"model": b"\xff\xfe"}, "unknown_model"),
    "a version of other bytes": ({"version": b"\xff"}, "unknown_model"),
    "a null model": ({"model": None}, None),
    "an empty model": ({"model": b""}, None),
    "a deadline that is no number": ({"deadline": b"soon"}, None),
    "a deadline of many digits": ({"deadline": b"9" * 400}, None),
    "a negative deadline": ({"deadline": b"-5"}, None),
    "a null deadline": ({"deadline": None}, None),
    "a reply partition that is none": ({"reply": b"999"}, None),
    "a reply partition of many digits": ({"reply": b"9" * 400}, None),
    "a reply partition of other digits": ({"reply": "٣".encode()}, None),
    "a negative reply partition": ({"reply": b"-1"}, None),
    "an unknown header": ({"": b"", "x": bytes(range(256))}, None),
}


def assert_goes_on(log: Log, partition: int = PARTITION) -> None:
    key = uuid.uuid4().hex.encode()
    log.write(row(0.5, 0.5), key=key, partition=partition)
    assert output(log.prediction(key), "value") == [1.0]


def test_garbage_of_every_kind_dies_with_its_reason_and_the_partition_goes_on(log: Log) -> None:
    written = {}
    for name, (value, reason) in GARBAGE.items():
        key = uuid.uuid4().hex.encode()
        [position] = log.write(value, key=key, partition=PARTITION, headers={"reply": b"6"})
        written[name] = (key, position, reason, value)
    assert_goes_on(log)
    for name, (key, position, reason, value) in written.items():
        letter = log.dead_letter(position)
        assert (name, letter["reason"]) == (name, reason)
        assert letter["topic"] == f"{log.kafka.topic_prefix}requests"
        assert letter["detail"]
        dead = log.dead_letters[position]
        assert (dead.key(), dead.value()) == (key, value)
        prediction = log.prediction(key)
        assert prediction["parameters"]["code"] == reason
        assert prediction["error"]
        assert prediction["id"] == key.decode()
        assert "outputs" not in prediction
        [reply] = log.replies_to(key)
        assert dict(reply.headers() or ()) == {"outcome": b"failed"}
        assert json.loads(reply.value() or b"") == prediction


def test_garbage_without_a_key_is_a_dead_letter_alone(log: Log) -> None:
    [without] = log.write(b"hello", partition=PARTITION)
    [empty] = log.write(b"hello", key=b"", partition=PARTITION)
    assert_goes_on(log)
    for position in (without, empty):
        assert log.dead_letter(position)["reason"] == "not_readable"
    assert not [key for key in log.predictions if key == b"" or key.endswith(f"-{without[1]}".encode())]


def test_a_key_of_other_bytes_finds_its_prediction(log: Log) -> None:
    key = b"\xff\x00" + uuid.uuid4().bytes
    log.write(b"hello", key=key, partition=PARTITION)
    assert log.prediction(key)["parameters"]["code"] == "not_readable"
    log.write(row(0.5, 0.5), key=key + b"2", partition=PARTITION)
    assert output(log.prediction(key + b"2"), "value") == [1.0]


def test_headers_of_every_kind_are_taken_or_refused_and_the_partition_goes_on(log: Log) -> None:
    written = {}
    for name, (headers, reason) in BAD_HEADERS.items():
        key = uuid.uuid4().hex.encode()
        [position] = log.write(row(0.5, 0.25), key=key, partition=PARTITION, headers=headers)
        written[name] = (key, position, reason)
    for name, (key, position, reason) in written.items():
        prediction = log.prediction(key)
        if reason is None:
            assert (name, output(prediction, "value")) == (name, [0.75])
        else:
            assert (name, prediction["parameters"]["code"]) == (name, reason)
            assert log.dead_letter(position)["reason"] == reason


def test_a_header_whose_name_is_no_text_neither_holds_its_partition_up_nor_ends_the_scorer(
    machine: Machine, log: Log, key: bytes
) -> None:
    servers, topic = log.kafka.bootstrap_servers or "", f"{log.kafka.topic_prefix}requests"
    value, restarts = row(0.5, 0.25), machine.restarts("scorer-0")
    # Python calls otherwise what it has called often: the scorer is to be warm.
    log.write(*[value] * 200, key=key + b"warm", partition=PARTITION, headers={"x": b"y"})
    log.prediction(key + b"warm", count=200)
    write_with_header(servers, topic, partition=PARTITION, key=key, value=value, header=b"\xff\xfe")
    assert log.prediction(key)["parameters"]["code"] == "not_readable"
    assert_goes_on(log)
    assert machine.restarts("scorer-0") == restarts
