"""Labels in their three forms, what is wrong with some, and what they mean to a model."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.alerts import rfc3339
from atalaia.bundles.manifest import ClassLabel, ContextColumn, Manifest, ModelFile
from atalaia.errors import InvalidInput, NotReadable, Refusal
from atalaia.labels import LabelRows, check_labels, concatenate, label_codes, read_labels, write_labels
from atalaia.records import Label, LabelColumns

NOW_MS = 1_769_860_800_000


def manifest(*classes: ClassLabel) -> Manifest:
    task = "classification" if classes else "regression"
    context = (
        ContextColumn("sex", categories=("F", "M")),
        ContextColumn("age", datatype="FP64", bands=(30.0,)),
    )
    model = ModelFile("tensor")
    if task == "regression":
        return Manifest("m", "1", "regression", model, features=(), context=context)
    return Manifest("m", "1", "classification", model, features=(), context=context, classes=classes)


values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False,
                   allow_infinity=False), st.text(max_size=5))  # fmt: skip
labels = st.builds(
    Label,
    id=st.text(min_size=1, max_size=8),
    label=values,
    row=st.integers(0, 2**31),
    time=st.none() | st.integers(0, 4_102_444_800_000).map(rfc3339),
    context=st.none() | st.dictionaries(st.sampled_from(["sex", "age"]), st.integers(0, 99), max_size=2),
)


def same(left: LabelRows, right: LabelRows) -> bool:
    return (
        left.ids == right.ids
        and left.rows.tolist() == right.rows.tolist()
        and [(type(entry), entry) for entry in left.labels]
        == [(type(entry), entry) for entry in right.labels]
        and left.time_ms.tolist() == right.time_ms.tolist()
        and left.context == right.context
    )


class TestForms:
    @given(st.lists(labels, max_size=6))
    def test_a_list_is_its_labels_one_after_the_other(self, given: list[Label]) -> None:
        whole = read_labels(msgspec.json.encode(given), written_ms=7)
        assert len(whole) == len(given)
        ones = [read_labels(msgspec.json.encode(label), written_ms=7) for label in given]
        if ones:
            assert same(concatenate(ones), whole)

    @given(st.lists(labels, max_size=6))
    def test_columns_say_what_the_list_says(self, given: list[Label]) -> None:
        whole = read_labels(msgspec.json.encode(given), written_ms=7)
        columns = LabelColumns(
            ids=[label.id for label in given],
            labels=[label.label for label in given],
            rows=[label.row for label in given],
            times=None
            if any(label.time is None for label in given)
            else [label.time or "" for label in given],
            context=whole.context or None,
        )
        read = read_labels(msgspec.json.encode(columns), written_ms=7)
        if columns.times is None:
            assert set(read.time_ms.tolist()) == {7}
        else:
            assert same(read, whole)

    @given(st.lists(labels, max_size=6))
    def test_what_is_written_reads_as_it_was(self, given: list[Label]) -> None:
        whole = read_labels(msgspec.json.encode(given), written_ms=NOW_MS)
        assert same(read_labels(write_labels(whole), written_ms=0), whole)

    @given(st.lists(labels, min_size=1, max_size=6), st.data())
    def test_some_of_them(self, given: list[Label], data: st.DataObject) -> None:
        places = data.draw(st.lists(st.sampled_from(range(len(given))), unique=True))
        whole = read_labels(msgspec.json.encode(given), written_ms=7)
        taken = whole.take(sorted(places))
        assert taken.ids == [given[place].id for place in sorted(places)]
        assert len(taken) == len(places)
        assert all(len(column) == len(places) for column in taken.context.values())

    def test_what_is_left_out(self) -> None:
        read = read_labels(b' {"id": "a", "label": "yes", "other": 1}', written_ms=7)
        assert (read.ids, read.rows.tolist(), read.labels) == (["a"], [0], ["yes"])
        assert (read.time_ms.tolist(), read.context) == ([7], {})

    def test_times_are_of_any_zone(self) -> None:
        body = b'[{"id": "a", "label": 1, "time": "1970-01-01T01:00:00+01:00"}, {"id": "b", "label": 0}]'
        assert read_labels(body, written_ms=9).time_ms.tolist() == [0, 9]


def problems(body: object, **given: Any) -> list[tuple[str, int | None]]:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidInput) as refused:
        read_labels(encoded, written_ms=0, **given)
    assert all(entry.problem and entry.expected for entry in refused.value.problems)
    return [(entry.field, entry.row) for entry in refused.value.problems]


class TestUnreadable:
    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[1", b"\xff", b"3", b'"a"', b'{"id":"\\ud800","label":1}', b"[" * 100_000]
    )
    def test_what_is_no_json_or_no_object(self, body: bytes) -> None:
        with pytest.raises(NotReadable):
            read_labels(body, written_ms=0)

    def test_every_field_at_fault_is_named_with_its_place(self) -> None:
        body = [{"id": 1, "row": "x", "label": []}, {"id": "a", "label": 1}, {"label": 1}, 5]
        assert problems(body) == [("id", 0), ("label", 0), ("row", 0), ("id", 2), ("body", 3)]
        assert problems({"id": "a"}) == [("label", None)]
        assert problems({"id": "a", "label": 1, "context": {"sex": ["F"]}}) == [("context", None)]

    def test_columns_likewise(self) -> None:
        assert problems({"ids": ["a", 2], "labels": [1, {}]}) == [("ids", 1), ("labels", 1)]
        assert problems({"ids": ["a"]}) == [("labels", None)]
        assert problems({"ids": None, "labels": []}) == [("ids", None)]
        short = {"ids": ["a", "b"], "labels": [1], "rows": [0], "times": [], "context": {"sex": ["F"]}}
        assert problems(short) == [("labels", None), ("rows", None), ("times", None), ("context.sex", None)]

    def test_times_and_places_that_are_none(self) -> None:
        assert problems([{"id": "a", "label": 1, "time": "soon"}] * 2) == [("time", 0), ("time", 1)]
        assert problems({"ids": ["a"], "labels": [1], "times": ["31.1.2026"]}) == [("times", 0)]
        assert problems({"id": "a", "label": 1, "row": 2**70}) == [("row", 0)]

    @pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999"])
    def test_numbers_that_are_not_finite(self, number: bytes) -> None:
        assert problems(b'[{"id": "a", "label": ' + number + b"}]") == [("body", None)]

    def test_no_more_than_twenty_are_named(self) -> None:
        assert len(problems([{}] * 1000)) == 20

    @given(st.binary(max_size=40) | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["id", "ids", "label", "labels", "row", "rows", "time", "times", "context"]),
            inner, max_size=4), max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()))  # fmt: skip
    def test_whatever_comes_is_read_or_refused(self, body: bytes) -> None:
        try:
            read = read_labels(body, written_ms=0)
        except Refusal:
            return
        assert len(read.labels) == len(read.rows) == len(read.time_ms) == len(read.ids)


class TestCodes:
    def test_classes_by_value(self) -> None:
        codes = label_codes(manifest(3, 4, 5), [3, 5.0, "4", "5.0", 3.5, True, None, "x", 6, 10**400])
        assert codes.tolist() == [0, 2, 1, -1, -1, -1, -1, -1, -1, -1]
        assert codes.dtype == np.int64

    def test_booleans_are_zero_and_one(self) -> None:
        assert label_codes(manifest(0, 1), [False, True, 1, "0"]).tolist() == [0, 1, 1, 0]

    def test_strings_are_themselves(self) -> None:
        assert label_codes(manifest("1", "yes"), ["1", 1, "yes", "YES", True]).tolist() == [0, -1, 1, -1, -1]

    def test_a_class_of_its_own_goes_before_digits_of_another(self) -> None:
        assert label_codes(manifest(1, "1"), [1, "1"]).tolist() == [0, 1]

    def test_values(self) -> None:
        codes = label_codes(manifest(), [1, 2.5, "3", True, None, 10**400, -0.0])
        assert np.array_equal(codes, [1, 2.5, np.nan, np.nan, np.nan, np.nan, 0], equal_nan=True)
        assert label_codes(manifest(), [1.5, 2.5]).tolist() == [1.5, 2.5]
        assert len(label_codes(manifest(), [])) == len(label_codes(manifest(1), [])) == 0


class TestChecks:
    def check(self, given: object, *classes: ClassLabel) -> list[tuple[str, int | None]]:
        rows = read_labels(json.dumps(given).encode(), written_ms=NOW_MS)
        found = check_labels(manifest(*classes), rows, now_ms=NOW_MS)
        assert all(entry.problem and entry.expected for entry in found)
        return [(entry.field, entry.row) for entry in found]

    def test_what_fits(self) -> None:
        entry = {"id": "a", "label": 1, "row": 3, "time": rfc3339(NOW_MS + 60_000)}
        assert self.check([entry, {**entry, "context": {"sex": "F", "age": 41}}, entry], 0, 1) == []
        assert self.check({"id": "a", "label": 1, "context": {"sex": None, "age": None}}) == []

    def test_each_mistake_is_named_with_its_place(self) -> None:
        fits = {"id": "a", "label": 1}
        later = rfc3339(NOW_MS + 61_000)
        given = [fits, {"id": "", "label": 7, "row": -1, "time": later}, {**fits, "context": {"height": 1}}]
        expected = [("id", 1), ("row", 1), ("label", 1), ("time", 1), ("context.height", None)]
        assert self.check(given, 0, 1) == expected
        assert self.check({**fits, "context": {"sex": "X", "age": "old"}}, 0, 1) == [("age", 0), ("sex", 0)]

    def test_a_class_that_is_none_is_told_the_classes(self) -> None:
        rows = read_labels(b'{"id": "a", "label": "bad"}', written_ms=NOW_MS)
        [problem] = check_labels(manifest("good", "fair"), rows, now_ms=NOW_MS)
        assert '"good", "fair"' in problem.expected
        assert "bad" in problem.problem
