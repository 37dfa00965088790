from pathlib import Path

import pytest

from atalaia.replay.table import Table, UnusableTable


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_is_read_with_the_separator_that_splits_its_header(tmp_path: Path, mark: str) -> None:
    lines = [["a", "b c", "d"], ["1", "", '"x, y"'], ["2.5", "z", "w"]]
    path = written(tmp_path, "\ufeff" + "\r\n".join(mark.join(line) for line in lines) + "\r\n\r\n")
    table = Table.open(path)
    assert (table.header, table.rows) == (("a", "b c", "d"), 2)
    assert list(table.cells()) == [["1", "", "x, y"], ["2.5", "z", "w"]]
    assert list(table.cells()) == list(table.cells())
    assert (table.place("d"), table.place("e")) == (2, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n\n3\n", "line 4: 1 cells, the header has 2"),
        ('a,b\n1,"two\nlines"\n3,4,5\n', "line 4: 3 cells"),
        ("a,b,a\n1,2,3\n", "names the columns 'a' twice"),
        ("a,b\n", "has no rows"),
        ("", "does not begin with a header"),
        (b"a,b\n1,\xff\n", "is not UTF-8"),
        ("a,b\n1," + "x" * 200_000 + "\n", "line 2: field larger"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_refused_by_line(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    with pytest.raises(UnusableTable, match=said):
        Table.open(written(tmp_path, content))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableTable, match="cannot be read"):
        Table.open(tmp_path / "nothing.csv")
