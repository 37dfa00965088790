"""A CSV file of labels: what fits is read, what does not is named by its line."""

from pathlib import Path

import pytest

from atalaia.bundles.manifest import ContextColumn, Manifest, ModelFile
from atalaia.cli.label_table import LabelTable, UnusableFile
from atalaia.labels import LabelRows, concatenate

PANEL = Manifest(
    "panel",
    "1",
    "classification",
    ModelFile("tensor"),
    features=(),
    context=(ContextColumn("sex", categories=("F", "M")), ContextColumn("age", datatype="FP64")),
    classes=(3, 4, 5),
)
LOAN = Manifest("loan", "7", "regression", ModelFile("tensor"), features=())
NOW_MS = 1_769_860_800_000


def read(
    folder: Path, text: str, manifest: Manifest = PANEL, *, at_once: int = 1_000
) -> tuple[LabelRows, list[tuple[int, str]]]:
    path = folder / "labels.csv"
    path.write_bytes(text.encode())
    table = LabelTable.open(path, manifest)
    parts, wrong = [], []
    for lines in table.chunks(at_once):
        rows, unfit = table.read(lines, now_ms=NOW_MS)
        parts.append(rows)
        wrong += [(entry.line, entry.why) for entry in unfit]
    return concatenate(parts), wrong


@pytest.mark.parametrize("at_once", [1, 2, 1_000])
@pytest.mark.parametrize("separator", [",", ";"])
def test_lines_that_fit_are_read(tmp_path: Path, separator: str, at_once: int) -> None:
    text = (
        "\ufeffid,label,row,time,age,sex\r\n"
        "a,3,,,,\r\n"
        "\r\n"
        'b,"5.0",2,1970-01-01T00:00:01Z,41.5,F\r\n'
        " c , 4 ,0, , ,M\r\n"
    ).replace(",", separator)
    rows, wrong = read(tmp_path, text, at_once=at_once)
    assert wrong == []
    assert (rows.ids, rows.labels, rows.rows.tolist()) == (["a", "b", "c"], [3, 5, 4], [0, 2, 0])
    assert rows.time_ms.tolist() == [NOW_MS, 1_000, NOW_MS]
    assert rows.context == {"age": [None, 41.5, None], "sex": [None, "F", "M"]}


def test_the_least_there_may_be(tmp_path: Path) -> None:
    rows, wrong = read(tmp_path, "label,id\n1.5,a\n-2e3,b", LOAN)
    assert (rows.ids, rows.labels, rows.context, wrong) == (["a", "b"], [1.5, -2_000], {}, [])


@pytest.mark.parametrize("at_once", [1, 3, 1_000])
def test_each_line_at_fault_is_named_and_the_others_are_read(tmp_path: Path, at_once: int) -> None:
    lines = [
        "id,label,row,time,age,sex",
        "a,3,0,,,",
        "b,7,0,,,",
        "c,,0,,,",
        "d,3,-1,,,",
        "e,3,0,soon,,",
        "f,3,0,2999-01-01T00:00:00Z,,",
        "g,3,0,,old,",
        "h,3,0,,,X",
        "i,3",
        ",3,0,,,",
        "z,4,0,,,",
    ]
    rows, wrong = read(tmp_path, "\n".join(lines), at_once=at_once)
    assert rows.ids == ["a", "z"]
    assert [line for line, _ in wrong] == list(range(3, 12))
    fields = ["label", "label", "row", "time", "time", "age", "sex", "2 cells", "id"]
    assert [why[: len(field)] for (_, why), field in zip(wrong, fields, strict=True)] == fields
    assert "one of 3, 4, 5" in wrong[0][1]


def test_words_are_no_values(tmp_path: Path) -> None:
    rows, wrong = read(tmp_path, "id,label\na,high\nb,nan\nc,1\nd,inf", LOAN)
    assert (rows.ids, [line for line, _ in wrong]) == (["c"], [2, 3, 5])


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("", "lacks column 'id', 'label'"),
        ("id,row", "lacks column 'label'"),
        ("id,label,colour", "unknown column 'colour'"),
        ("id,label,id", "twice"),
    ],
)
def test_a_header_that_does_not_fit(tmp_path: Path, header: str, told: str) -> None:
    with pytest.raises(UnusableFile, match=told):
        read(tmp_path, f"{header}\na,3\n")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"id,label\n" + b"a,3\n" * 10_000 + b"b,\xff\n")
    table = LabelTable.open(path, PANEL)
    with pytest.raises(UnusableFile, match="beyond line"):
        list(table.chunks(10))
    with pytest.raises(UnusableFile, match="cannot be read"):
        LabelTable.open(tmp_path, PANEL)
