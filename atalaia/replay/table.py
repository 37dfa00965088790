"""The CSV file of a replay: looked through once before anything is sent, then read row by row."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from atalaia.bundles.reference_csv import SEPARATORS
from atalaia.errors import AtalaiaError

Cells = list[str]


class UnusableTable(AtalaiaError):
    """A file, or a choice of its columns, that cannot be replayed; nothing has been sent."""


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file with a header; its separator is the one that splits the header most. Empty lines are none.

    ``rows`` is how many there are after the header.
    """

    path: Path
    separator: str
    header: tuple[str, ...]
    rows: int

    @classmethod
    def open(cls, path: Path) -> Self:
        """Look through a file, so that whatever cannot be sent is known before anything is.

        Raises
        ------
        UnusableTable
            when it cannot be read, names a column twice, has no rows, or a line has another number of cells.
        """
        try:
            separator, header = _read_header(path)
            rows = 0
            for line, cells in _lines(path, separator):
                if len(cells) != len(header):
                    raise UnusableTable(
                        f"{path}, line {line}: {len(cells)} cells, the header has {len(header)}"
                    )
                rows += 1
        except OSError as error:
            raise UnusableTable(f"{path} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise UnusableTable(f"{path} is not UTF-8: {error}") from error
        if not rows:
            raise UnusableTable(f"{path} has no rows, expected a header and at least one")
        return cls(path, separator, header, rows)

    def cells(self) -> Iterator[Cells]:
        """The cells of each row, in the order of the file."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self.separator)
            next(reader, None)
            yield from filter(None, reader)

    def place(self, name: str) -> int | None:
        """Which cell of a row is this column's."""
        return self.header.index(name) if name in self.header else None


def _read_header(path: Path) -> tuple[str, tuple[str, ...]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    separator = max(SEPARATORS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    header = tuple(name.strip() for name in next(csv.reader([first], delimiter=separator), []))
    if not header:
        raise UnusableTable(f"{path} does not begin with a header")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UnusableTable(f"{path} names the columns {', '.join(map(repr, twice))} twice")
    return separator, header


def _lines(path: Path, separator: str) -> Iterator[tuple[int, Cells]]:
    """Number of the line that ends it and cells of each row after the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator)
        try:
            next(reader, None)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as error:
            raise UnusableTable(f"{path}, line {reader.line_num}: {error}") from error
