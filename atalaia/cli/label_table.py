"""A CSV file of labels: the lines that fit the model, and what is wrong with those that do not."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference_csv import SEPARATORS
from atalaia.errors import AtalaiaError, FieldProblem
from atalaia.inference.columns import parse_time
from atalaia.labels import LabelRows, check_labels
from atalaia.records import ContextValue, LabelValue
from atalaia.replay.cells import LabelCells

Line = tuple[int, list[str]]
"""Number of the line in the file, and its cells."""

OWN_COLUMNS = ("id", "label", "row", "time")


class UnusableFile(AtalaiaError):
    """A file that cannot be read, or whose header does not fit; nothing of it was sent."""


class WrongLine(NamedTuple):
    """Why a line was left out."""

    line: int
    why: str


class _Row(NamedTuple):
    line: int
    id: str
    row: int
    label: LabelValue
    time_ms: int
    context: list[ContextValue]


@dataclass(frozen=True, slots=True)
class LabelTable:
    """A file with a header: ``id`` and ``label``, if wanted ``row`` and ``time``, and context columns.

    An empty cell of ``row`` is 0, of ``time`` the time it is read, of a context column unknown.
    """

    path: Path
    manifest: Manifest
    separator: str
    header: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, manifest: Manifest) -> "LabelTable":
        """Read the header.

        Raises
        ------
        UnusableFile
            where a column is missing, there twice, or neither ours nor a context column of the model.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                first = file.readline()
        except (OSError, UnicodeDecodeError) as error:
            raise UnusableFile(f"{path} cannot be read: {error}") from error
        separator = max(SEPARATORS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
        header = tuple(name.strip() for name in next(csv.reader([first], delimiter=separator), []))
        missing = [name for name in ("id", "label") if name not in header]
        context = [column.name for column in manifest.context]
        unknown = [name for name in header if name not in (*OWN_COLUMNS, *context)]
        twice = sorted({name for name in header if header.count(name) > 1})
        for names, wrong in ((missing, "lacks"), (unknown, "has the unknown"), (twice, "has twice the")):
            if names:
                raise UnusableFile(
                    f"the header of {path} {wrong} column {', '.join(map(repr, names))}; expected id, label, "
                    f"and if wanted any of {', '.join(('row', 'time', *context))}"
                )
        return cls(path, manifest, separator, header)

    def chunks(self, lines: int) -> Iterator[list[Line]]:
        """The lines after the header, so many at a time; empty ones are none.

        Raises
        ------
        UnusableFile
            where the file cannot be read further.
        """
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self.separator)
            numbered = ((reader.line_num, cells) for cells in reader if cells)
            try:
                next(reader, None)
                while chunk := list(islice(numbered, lines)):
                    yield chunk
            except (csv.Error, UnicodeDecodeError) as error:
                raise UnusableFile(
                    f"{self.path} cannot be read beyond line {reader.line_num}: {error}"
                ) from error

    def read(self, lines: Sequence[Line], *, now_ms: int) -> tuple[LabelRows, list[WrongLine]]:
        """The labels of some lines that fit the model, and what is wrong with the others."""
        wrong: list[WrongLine] = []
        labels = LabelCells(self.manifest)
        read = []
        for line, cells in lines:
            try:
                read.append(self._row(line, cells, labels, now_ms))
            except ValueError as error:
                wrong.append(WrongLine(line, str(error)))
        rows = self._columns(read)
        if check_labels(self.manifest, rows, now_ms=now_ms):
            kept = []
            for place, entry in enumerate(read):
                problems = check_labels(self.manifest, rows.take([place]), now_ms=now_ms)
                if problems:
                    wrong.append(WrongLine(entry.line, "; ".join(map(_sentence, problems))))
                else:
                    kept.append(place)
            rows = rows.take(kept)
        return rows, sorted(wrong)

    def _row(self, line: int, cells: list[str], labels: LabelCells, now_ms: int) -> _Row:
        if len(cells) != len(self.header):
            raise ValueError(f"{len(cells)} cells, the header has {len(self.header)}")
        named = dict(zip(self.header, (cell.strip() for cell in cells), strict=True))
        [label] = labels.read([named["label"]])
        if label is None:
            raise ValueError("label: empty, expected the truth of the row")
        time = named.get("time")
        return _Row(
            line,
            named["id"],
            _whole(named.get("row") or "0"),
            label,
            _time(time) if time else now_ms,
            [_context(named[column.name], column.name, numeric=column.numeric)
             for column in self.manifest.context if column.name in named],
        )  # fmt: skip

    def _columns(self, read: Sequence[_Row]) -> LabelRows:
        names = [column.name for column in self.manifest.context if column.name in self.header]
        return LabelRows(
            [entry.id for entry in read],
            np.array([entry.row for entry in read], np.int64),
            [entry.label for entry in read],
            np.array([entry.time_ms for entry in read], np.int64),
            {name: [entry.context[place] for entry in read] for place, name in enumerate(names)},
        )


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 63:
        raise ValueError(f"row: {text[:40]!r}, expected a whole number, 0 for the first row of the request")
    return number


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        expected = "an RFC 3339 time such as 2026-01-31T12:00:00Z"
        raise ValueError(f"time: {text[:40]!r}, expected {expected}") from None


def _context(text: str, name: str, *, numeric: bool) -> ContextValue:
    if not text:
        return None
    if not numeric:
        return text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name}: {text[:40]!r}, expected a number") from None


def _sentence(problem: FieldProblem) -> str:
    return f"{problem.field}: {problem.problem}, expected {problem.expected}"
