"""Events on the topics: what they look like as JSON and what they hold afterwards."""

import json
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from atalaia.records import (
    Array,
    BundleRecord,
    Deployment,
    ModelObservation,
    ModelRecord,
    Observation,
    SourceRange,
)

DEPLOYMENT = Deployment("1", "sha256:ab", "primary", {0: 5, 12: 7}, "2026-01-31T12:00:00+00:00")


@pytest.mark.parametrize(
    ("values", "datatype"),
    [
        (np.array([True, False]), "BOOL"),
        (np.array([0, 255], np.uint8), "UINT8"),
        (np.array([-(2**31), 2**31 - 1], np.int32), "INT32"),
        (np.array([-(2**63), 2**63 - 1]), "INT64"),
        (np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32), "FP32"),
        (np.array([np.nan, 5e-324, 1.7e308]), "FP64"),
        (np.array([], np.float32), "FP32"),
    ],
)
def test_arrays_keep_every_bit(values: npt.NDArray[Any], datatype: str) -> None:
    text = msgspec.json.encode(Array.of(values))
    array = msgspec.json.decode(text, type=Array)
    assert array.datatype == datatype
    assert array.numpy().dtype == values.dtype
    assert array.numpy().tobytes() == values.tobytes()
    assert b"width" not in text


def test_two_dimensions_are_row_major_whatever_the_memory_was() -> None:
    values = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    array = Array.of(values)
    assert array.width == 3
    assert array.numpy().tolist() == values.tolist()
    assert Array.of(np.empty((0, 3))).numpy().shape == (0, 3)


def test_an_array_is_base64_of_little_endian_bytes() -> None:
    assert json.loads(msgspec.json.encode(Array.of(np.array([1, 256], np.int32)))) == {
        "datatype": "INT32",
        "data": "AQAAAAABAAA=",
    }


def test_arrays_of_other_types_are_no_records() -> None:
    with pytest.raises(KeyError):
        Array.of(np.array(["text"]))
    with pytest.raises(msgspec.ValidationError, match="datatype"):
        msgspec.json.decode(b'{"datatype":"INT8","data":""}', type=Array)


def test_positions_travel_under_the_name_from() -> None:
    text = msgspec.json.encode(DEPLOYMENT)
    assert json.loads(text) == {
        "version": "1",
        "digest": "sha256:ab",
        "role": "primary",
        "from": {"0": 5, "12": 7},
        "deployed_at": "2026-01-31T12:00:00+00:00",
    }
    assert msgspec.json.decode(text, type=Deployment) == DEPLOYMENT


def test_ranges_travel_as_from_and_to() -> None:
    mark = SourceRange(2, 10, 10, 1_000, at_end=True)
    text = msgspec.json.encode(mark)
    assert json.loads(text) == {"partition": 2, "from": 10, "to": 10, "time_ms": 1000, "at_end": True}
    assert msgspec.json.decode(text, type=SourceRange) == mark
    assert b"at_end" not in msgspec.json.encode(SourceRange(2, 10, 11, 1_000))


@pytest.mark.parametrize("name", ["", "-a", ".hidden", "a b", "a/b", "a@b", "é", "a" * 101, "../up"])
def test_names_are_safe_in_paths_keys_and_labels(name: str) -> None:
    text = json.dumps({"name": name, "created_at": "", "deployments": []}).encode()
    with pytest.raises(msgspec.ValidationError, match="name"):
        msgspec.json.decode(text, type=ModelRecord)


def test_an_unknown_role_is_no_deployment() -> None:
    text = msgspec.json.encode(DEPLOYMENT).replace(b"primary", b"deputy")
    with pytest.raises(msgspec.ValidationError, match="role"):
        msgspec.json.decode(text, type=Deployment)


def test_members_of_later_versions_are_ignored() -> None:
    record = BundleRecord("m", "1", "sha256:ab", "/somewhere", "2026-01-31T12:00:00+00:00")
    text = msgspec.json.encode(record)[:-1] + b',"later":true}'
    assert msgspec.json.decode(text, type=BundleRecord) == record


def test_an_observation_comes_back_as_it_went() -> None:
    model = ModelObservation(
        model="m",
        version="1",
        role="primary",
        digest="sha256:ab",
        partition=Array.of(np.array([0], np.int32)),
        offset=Array.of(np.array([7])),
        id=["r"],
        rows=Array.of(np.array([2], np.int32)),
        expired=Array.of(np.array([False])),
        event_time_ms=Array.of(np.array([1, 2])),
        features={"a": Array.of(np.array([np.nan, 1.0], np.float32))},
        context={"sex": Array.of(np.array([0, -1], np.int32), categories=["f"])},
        score=Array.of(np.array([0.5, 0.25], np.float32)),
        applicability=Array.of(np.array([1.0, 2.0], np.float32)),
        abstained=Array.of(np.array([False, True])),
        classes=[1, "one"],
    )
    observation = Observation("scorer-0", [SourceRange(0, 7, 8, 2)], [model])
    text = msgspec.json.encode(observation)
    assert msgspec.json.decode(text, type=Observation) == observation
    assert b"probabilities" not in text
