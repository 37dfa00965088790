"""Requests say of each row what its cells say, and only rows that will be refused go alone."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.errors import InvalidInput
from atalaia.inference.protocol import decode_request, decode_tensor
from atalaia.inference.signature import Signature
from atalaia.replay.cells import LabelCells
from atalaia.replay.encoding import Encoder, Request
from atalaia.replay.schedule import Schedule
from atalaia.replay.table import Table, UnusableTable
from atalaia.topics import MAX_REQUEST_BYTES

NUMBERS = (Feature("a"), Feature("b", "FP64", missing=True), Feature("n", "INT16"))
WORDS = Feature("w", "BYTES", categories=("x", "y"), missing=True)
CONTEXT = (ContextColumn("sex", categories=("F", "M")), ContextColumn("age", "FP64", required=True))
SCHEDULE = Schedule(1_769_860_800_000, 500.0, 10**6)


def manifest(*features: Feature, context: tuple[ContextColumn, ...] = CONTEXT) -> Manifest:
    return Manifest("m", "1", "regression", ModelFile("columns", value="v"), features, context)


PLAIN, MIXED = manifest(*NUMBERS), manifest(*NUMBERS, WORDS)


def table_of(folder: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return Table.open(path)


def requests_of(
    model: Manifest, table: Table, *, rows_per_request: int = 100, first: int = 0
) -> list[Request]:
    encoder = Encoder(model, table, name="r", rows_per_request=rows_per_request)
    cells = list(table.cells())
    return encoder.requests(cells, first, SCHEDULE.times(first, len(cells)))[0]


cell_of = {
    "a": st.sampled_from(["1.5", "-0", "1e-3", " 2 ", "", "nan", "inf", "1e300", "x"]),
    "b": st.sampled_from(["1.5", "", "NaN", "-7", "inf", "true"]),
    "n": st.sampled_from(["3", "3.0", "3.5", "40000", "", "false", "0x1"]),
    "w": st.sampled_from(["x", "y", "", "z", "X"]),
    "sex": st.sampled_from(["F", "M", "", "?"]),
    "age": st.sampled_from(["41", "41.5", "", "old"]),
}
good_of = {"a": "1.5", "b": "", "n": "3", "w": "x", "sex": "F", "age": "41"}


def expected(text: str, *, number: bool) -> Any:
    """What a cell means where it can be read."""
    if not number:
        return text or None
    stripped = text.strip().lower()
    known = {"": np.nan, "true": 1.0, "false": 0.0}
    return known[stripped] if stripped in known else float(stripped)


@pytest.mark.parametrize("model", [PLAIN, MIXED], ids=["numbers", "mixed"])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), most=st.integers(1, 5), first=st.sampled_from([0, 3, 10_000]))
def test_a_scorer_reads_what_the_cells_say_and_refuses_the_same_rows_however_they_are_grouped(
    tmp_path: Path, model: Manifest, data: st.DataObject, most: int, first: int
) -> None:
    names = [feature.name for feature in model.features] + [column.name for column in model.context]
    odd_or_good = st.tuples(*(st.one_of(st.just(good_of[name]), cell_of[name]) for name in names))
    rows = data.draw(st.lists(odd_or_good, min_size=1, max_size=12))
    table = table_of(tmp_path, names, rows)
    signature = Signature(model)
    made = requests_of(model, table, rows_per_request=most, first=first)
    assert [
        row for request in made for row in range(request.first_row, request.first_row + request.rows)
    ] == [*range(first, first + len(rows))]
    for request in made:
        assert 1 <= request.rows <= most
        assert decode_tensor(request.value) is None
        body = decode_request(request.value)
        assert (body.id, body.parameters) == (f"r-{request.first_row}", {"model": "m"})
        mine = rows[request.first_row - first : request.first_row - first + request.rows]
        try:
            read = signature.rows(body)
        except InvalidInput:
            assert request.rows == 1, "a row that is refused takes another with it"
            continue
        times = SCHEDULE.times(request.first_row, request.rows)
        assert read.event_time_ms is not None
        assert read.event_time_ms.tolist() == times.tolist()
        numeric = [feature.name for feature in model.features if feature.numeric]
        meant = np.array(
            [[expected(row[names.index(name)], number=True) for name in numeric] for row in mine], np.float64
        )
        served = np.column_stack(
            [meant[:, j].astype(np.float32) if name == "a" else meant[:, j] for j, name in enumerate(numeric)]
        )
        np.testing.assert_array_equal(read.numeric, served)
        if model is MIXED:
            assert read.strings["w"].tolist() == [row[names.index("w")] or None for row in mine]
        assert read.context["sex"].tolist() == [row[names.index("sex")] or None for row in mine]


def test_good_rows_fill_requests_and_an_odd_one_parts_them(tmp_path: Path) -> None:
    rows = [["1", "2", "3", "40"] for _ in range(250)]
    rows[120][0] = "oops"
    made = requests_of(PLAIN, table_of(tmp_path, ["a", "b", "n", "age"], rows))
    assert [(request.first_row, request.rows) for request in made] == [
        (0, 100), (100, 20), (120, 1), (121, 100), (221, 29)
    ]  # fmt: skip
    told = json.loads(made[2].value)["inputs"]
    assert {tensor["name"]: tensor["data"] for tensor in told} == {
        "event_time": ["2026-01-31T12:01:00.000Z"], "age": [40.0], "a": ["oops"], "b": [2.0], "n": [3.0]
    }  # fmt: skip


def test_ids_of_the_file_are_the_requests_own_and_part_all_rows(tmp_path: Path) -> None:
    table = table_of(
        tmp_path, ["id", "a", "b", "n", "age"], [["p1", *"1234"], ["", *"1234"], ["p3", *"1234"]]
    )
    made = requests_of(PLAIN, table)
    assert [(request.id, request.rows) for request in made] == [("p1", 1), ("r-1", 1), ("p3", 1)]


def test_a_feature_called_id_is_no_id(tmp_path: Path) -> None:
    model = manifest(Feature("id"), Feature("a"), context=())
    [request] = requests_of(model, table_of(tmp_path, ["id", "a"], [["1", "2"], ["3", "4"]]))
    assert (request.id, request.rows) == ("r-0", 2)
    np.testing.assert_array_equal(
        Signature(model).rows(decode_request(request.value)).numeric, [[1.0, 2.0], [3.0, 4.0]]
    )


def test_a_model_of_one_feature_and_other_columns_in_the_file_are_no_matter(tmp_path: Path) -> None:
    model = manifest(Feature("a"), context=())
    [request] = requests_of(model, table_of(tmp_path, ["z", "a"], [["?", "1"], ["?", "2"]]))
    read = Signature(model).rows(decode_request(request.value))
    np.testing.assert_array_equal(read.numeric, [[1.0], [2.0]])


def test_requests_stay_below_what_a_topic_takes(tmp_path: Path) -> None:
    model = manifest(Feature("w", "BYTES"), context=())
    texts = ["é" * 1_000, *["w" * 900] * 3_000]
    made = requests_of(model, table_of(tmp_path, ["w"], [[text] for text in texts]), rows_per_request=5_000)
    assert sum(request.rows for request in made) == len(texts)
    assert max(len(request.value) for request in made) <= MAX_REQUEST_BYTES
    assert len(made) < 20


def test_wide_rows_go_fewer_to_a_request(tmp_path: Path) -> None:
    names = [f"x{place}" for place in range(1_000)]
    model = manifest(*(Feature(name) for name in names), context=())
    made = requests_of(model, table_of(tmp_path, names, [["1.25"] * 1_000] * 50))
    assert [request.rows for request in made] == [20, 20, 10]


def test_columns_that_the_model_needs_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableTable, match=r"no column 'age', 'b', which m 1 needs; it has a, n"):
        requests_of(PLAIN, table_of(tmp_path, ["a", "n"], [["1", "2"]]))


@pytest.mark.parametrize(
    ("classes", "texts", "labels"),
    [
        ((3, 4), ["3", " 4 ", "4.0", "", "5", "true"], [3, 4, 4, None, "5", "true"]),
        ((0, 1), ["true", "False", "1", "0.0", "yes"], [1, 0, 1, 0, "yes"]),
        (("no", "yes"), ["no", "yes ", "1", "", "NO"], ["no", "yes", "1", None, "NO"]),
    ],
)
def test_labels_are_classes_where_they_can_be(classes: Any, texts: list[str], labels: list[Any]) -> None:
    model = Manifest("m", "1", "classification", ModelFile("tensor"), (), classes=classes)
    read = LabelCells(model)
    assert read.read(texts) == labels
    assert [type(label) for label in read.read(texts)] == [type(label) for label in labels]


def test_labels_of_a_regressor_are_numbers_where_they_can_be() -> None:
    assert LabelCells(PLAIN).read(["1.5", " 2 ", "", "inf", "x"]) == [1.5, 2.0, None, "inf", "x"]
