from pathlib import Path

import numpy as np
import pytest

from atalaia.bundles.folder import Bundle
from atalaia.inference.rows import IntArray
from atalaia.records import Array
from atalaia.replay.cells import read_column
from atalaia.replay.flight import SeenModel
from atalaia.replay.shapes import MOST_CATEGORIES, Categories, Numbers, Shapes
from tests.broker.gateway.models import mixed_bundle
from tests.broker.scorer.models import line_bundle


def ones(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> IntArray:
    return np.ones(len(values), np.int64)


def test_shares_of_numbers_are_those_of_the_rows_in_each_bar() -> None:
    reference = np.linspace(0.0, 1.0, 1_001)
    counted = Numbers("x", reference, ones(reference))
    rows = np.random.default_rng(1).normal(0.8, 0.3, 5_000)
    for part in np.array_split(rows, 7):
        counted.add(part)
    counted.add(np.array([np.nan]))
    shape = counted.shape()
    assert shape.rows == 5_000
    assert len(shape.edges) == len(shape.replay) + 1 == len(shape.reference) + 1 <= 42
    for shares, values in ((shape.replay, rows), (shape.reference, reference)):
        inner = np.histogram(values, np.array([-np.inf, *shape.edges[1:-1], np.inf]))[0] / len(values)
        np.testing.assert_allclose(shares, inner, atol=1e-12)
        assert sum(shares) == pytest.approx(1.0)


def test_values_far_out_are_in_the_outermost_bars_and_a_constant_reference_has_a_width() -> None:
    counted = Numbers("x", np.array([5.0]), np.array([10]))
    counted.add(np.array([-1e9, 5.0, 5.0, 1e9]))
    shape = counted.shape()
    assert (shape.replay[0], shape.replay[-1]) == (0.25, 0.25)
    assert max(shape.replay) == 0.5
    assert Numbers("x", np.array([]), np.array([], np.int64)).shape().reference[0] == 0.0


def test_of_many_categories_the_most_frequent_are_named_and_the_rest_is_one() -> None:
    counted = Categories("w", {str(place): 100 - place for place in range(40)})
    counted.add([*["39"] * 1_000, "new"])
    shape = counted.shape()
    assert len(shape.names) == MOST_CATEGORIES + 1
    assert shape.names[-1] == "others"
    assert "39" in shape.names
    assert sum(shape.replay) == pytest.approx(1.0)
    assert sum(shape.reference) == pytest.approx(1.0)


def test_different_values_without_end_take_no_memory_without_end() -> None:
    counted = Categories("w", {"a": 1})
    counted.add([str(place) for place in range(30_000)])
    counted.add(["a"])
    assert counted.shape().rows == 30_001
    assert len(counted._replay) < 10_003


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return line_bundle(tmp_path_factory.mktemp("line"), "line")


def test_features_are_counted_as_served_and_answers_as_observed(line: Bundle) -> None:
    shapes = Shapes(line)
    texts = ["0.5", "-0", "nan", "oops", "0.25"]
    shapes.add_rows([read_column(feature, texts) for feature in line.manifest.features])
    shapes.add_answers(
        SeenModel(
            model="line",
            version="1",
            role="primary",
            partition=Array.of(np.zeros(1, np.int32)),
            offset=Array.of(np.zeros(1, np.int64)),
            rows=Array.of(np.array([3], np.int32)),
            score=Array.of(np.array([1.0, 2.0, 3.0], np.float32)),
            applicability=Array.of(np.array([0.0, 4.0, 400.0], np.float32)),
            abstained=Array.of(np.array([False, False, True])),
        )
    )
    told = {shape.column: shape.rows for shape in shapes.all()}
    assert told == {"a": 3, "b": 3, "score": 2, "applicability": 3}


def test_strings_and_missing_values_are_categories(tmp_path: Path) -> None:
    bundle = mixed_bundle(tmp_path / "loan")
    shapes = Shapes(bundle)
    columns = []
    for feature in bundle.manifest.features:
        good = ["1", ""] if feature.numeric else [*(feature.categories or ("x",))[:1], ""]
        columns.append(read_column(feature, good))
    shapes.add_rows(columns)
    for shape in shapes.all():
        assert len(shape.replay) == len(shape.reference)
        assert bool(shape.edges) != bool(shape.names)
