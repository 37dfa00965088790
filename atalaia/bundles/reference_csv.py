"""A reference as people keep it: a CSV file with a header, separated by comma, semicolon or tab."""

import csv
import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from atalaia.errors import BundleError
from atalaia.inference.columns import cast_to_served, unfit
from atalaia.inference.rows import FloatArray, ObjectArray

SEPARATORS = (",", ";", "\t")
_BOOLEANS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """Cells as text, by column; an empty cell is a missing value. Row 1 is the one after the header."""

    path: Path
    columns: dict[str, list[str]]
    sha256: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; its separator is the one that splits the header most.

        Raises
        ------
        BundleError
            when it cannot be read, names a column twice, or a row has another number of cells.
        """
        try:
            content = path.read_bytes()
            text = content.decode("utf-8-sig")
        except OSError as error:
            raise BundleError(f"{path} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise BundleError(f"{path} is not UTF-8: {error}") from error
        header, rows = _split(text, path)
        for number, row in enumerate(rows, start=1):
            if len(row) != len(header):
                raise BundleError(f"{path}, row {number}: {len(row)} cells, the header has {len(header)}")
        cells = zip(*rows, strict=True) if rows else [() for _ in header]
        columns = {name: list(column) for name, column in zip(header, cells, strict=True)}
        return cls(path, columns, hashlib.sha256(content).hexdigest())

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def column(self, name: str, role: str) -> list[str]:
        """The cells of a column.

        Raises
        ------
        BundleError
            when there is none of that name.
        """
        try:
            return self.columns[name]
        except KeyError:
            raise BundleError(
                f"{self.path} has no column {name!r} ({role}); it has {', '.join(self.columns)}"
            ) from None

    def numbers(self, name: str, datatype: str) -> FloatArray:
        """A column as served numbers (n,), NaN where empty.

        Raises
        ------
        BundleError
            naming the row of a cell that is no number, not finite, or does not fit the datatype.
        """
        cells = self.column(name, "feature")
        values = np.array(
            [self._number(name, row, cell) for row, cell in enumerate(cells, start=1)], np.float64
        )
        wrong = np.flatnonzero(unfit(values, datatype))
        if len(wrong):
            row = int(wrong[0])
            raise BundleError(
                f"{self.path}, row {row + 1}, column {name!r}: {cells[row]} does not fit {datatype}"
            )
        return cast_to_served(values, datatype)

    def strings(self, name: str) -> ObjectArray:
        """A column as strings (n,), None where empty."""
        return np.array([cell or None for cell in self.column(name, "feature")], np.object_)

    def is_numeric(self, name: str) -> bool:
        """Whether every cell that is not empty is a finite number, and there is one."""
        present = [cell for cell in self.columns[name] if cell.strip()]
        return bool(present) and all(_is_number(cell) for cell in present)

    def _number(self, name: str, row: int, cell: str) -> float:
        text = cell.strip()
        if not text:
            return math.nan
        try:
            value = _BOOLEANS.get(text.lower())
            return float(text) if value is None else value
        except ValueError:
            raise BundleError(
                f"{self.path}, row {row}, column {name!r}: {text[:40]!r} is not a number"
            ) from None


def _split(text: str, path: Path) -> tuple[list[str], list[list[str]]]:
    first = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    if not rows:
        raise BundleError(f"{path} is empty, expected a header and rows")
    header = [name.strip() for name in rows[0]]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise BundleError(f"{path} names the columns {', '.join(map(repr, twice))} twice")
    return header, rows[1:]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
