"""Rows as inference requests, many to a request where nothing keeps them apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson

from atalaia.bundles.manifest import Manifest
from atalaia.inference.rows import FloatArray, IntArray
from atalaia.inference.signature import EVENT_TIME
from atalaia.replay.cells import Column, any_of, read_column
from atalaia.replay.table import Cells, Table, UnusableTable
from atalaia.topics import MAX_REQUEST_BYTES

ID = "id"
ROWS_PER_REQUEST = 100
_VALUES_PER_REQUEST = 20_000
_Tensor = dict[str, Any]


class Request(NamedTuple):
    """A request and the rows of the file it holds: ``rows`` from ``first_row`` on, counted from 0."""

    id: str
    value: bytes
    first_row: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """Some rows as columns, beside the cells they were read from."""

    cells: Sequence[Cells]
    first_row: int
    times: list[str]
    features: list[Column]
    context: list[Column]
    matrix: FloatArray | None


class Encoder:
    """Makes requests of rows, for the model of a manifest.

    Rows go many to a request, except those that a scorer will refuse, which it is told alone, as they stand,
    so that no other row is refused with them; and those with an id of their own.

    Parameters
    ----------
    name : the replay's, in the ids of requests whose rows have none
    rows_per_request : at most; fewer where there are many columns

    Raises
    ------
    UnusableTable
        where the table lacks a column of the model.
    """

    def __init__(
        self, manifest: Manifest, table: Table, *, name: str, rows_per_request: int = ROWS_PER_REQUEST
    ) -> None:
        self._name = name
        self._parameters = {"model": manifest.name}
        self._features = [(feature, table.place(feature.name)) for feature in manifest.features]
        self._context = [(column, table.place(column.name)) for column in manifest.context]
        required = [column.name for column in manifest.context if column.required]
        required += [feature.name for feature in manifest.features]
        lacking = [wanted for wanted in required if wanted not in table.header]
        if lacking:
            raise UnusableTable(
                f"{table.path} has no column {', '.join(map(repr, lacking))}, which {manifest.name} "
                f"{manifest.version} needs; it has {', '.join(table.header)}"
            )
        own = {feature.name for feature in manifest.features} | {column.name for column in manifest.context}
        self._id_place = None if ID in own else table.place(ID)
        self._numeric = all(feature.numeric for feature in manifest.features)
        self._width = len(self._features)
        fitting = max(1, _VALUES_PER_REQUEST // max(1, len(own)))
        self._most = 1 if self._id_place is not None else min(rows_per_request, fitting)

    def requests(
        self, cells: Sequence[Cells], first_row: int, times_ms: IntArray
    ) -> tuple[list[Request], list[Column]]:
        """Requests of rows in their order, and the columns of features they hold."""
        texts = list(zip(*cells, strict=True))
        features = [read_column(spec, texts[place]) for spec, place in self._features if place is not None]
        context = [read_column(spec, texts[place]) for spec, place in self._context if place is not None]
        matrix = None
        if self._numeric:
            matrix = np.column_stack([np.asarray(column.values, np.float64) for column in features])
        rows = _Rows(cells, first_row, _texts(times_ms), features, context, matrix)
        odd = any_of([column.odd for column in (*features, *context)], len(cells))
        made: list[Request] = []
        for start, stop in _runs(odd.tolist(), self._most):
            made += self._encode(rows, start, stop, alone=bool(odd[start]))
        return made, features

    def _encode(self, rows: _Rows, start: int, stop: int, *, alone: bool) -> Iterator[Request]:
        first = rows.first_row + start
        own = "" if self._id_place is None else rows.cells[start][self._id_place].strip()
        request_id = own or f"{self._name}-{first}"
        tensors = [{"name": EVENT_TIME, "shape": [stop - start], "datatype": "BYTES",
                    "data": rows.times[start:stop]}]  # fmt: skip
        # First what is no matrix of numbers: a scorer's decoder of the common shape gives up at once.
        if alone:
            tensors += self._one_by_one(rows, start)
        else:
            tensors += [_tensor(column, start, stop) for column in rows.context]
            tensors += self._inputs(rows, start, stop)
        body = {"id": request_id, "parameters": self._parameters, "inputs": tensors}
        value = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        if len(value) <= MAX_REQUEST_BYTES:
            yield Request(request_id, value, first, stop - start)
        elif stop - start > 1:
            middle = (start + stop) // 2
            yield from self._encode(rows, start, middle, alone=False)
            yield from self._encode(rows, middle, stop, alone=False)
        else:
            raise UnusableTable(
                f"row {first + 1} makes a request of {len(value)} bytes, at most {MAX_REQUEST_BYTES} are sent"
            )

    def _inputs(self, rows: _Rows, start: int, stop: int) -> list[_Tensor]:
        """One matrix where all features are numbers and there is more than one row, else a tensor each."""
        if rows.matrix is None or stop - start == 1:
            return [_tensor(column, start, stop) for column in rows.features]
        flat = rows.matrix[start:stop].ravel()
        name = self._features[0][0].name  # no context column can be called so
        return [{"name": name, "shape": [stop - start, self._width], "datatype": "FP64", "data": flat}]

    def _one_by_one(self, rows: _Rows, row: int) -> list[_Tensor]:
        tensors = []
        pairs = [*zip(self._context_places(), rows.context, strict=True)]
        pairs += zip((place for _, place in self._features if place is not None), rows.features, strict=True)
        for place, column in pairs:
            value = column.plain(rows.cells[row][place], row)
            datatype = column.spec.datatype
            tensors.append({"name": column.spec.name, "shape": [1], "datatype": datatype, "data": [value]})
        return tensors

    def _context_places(self) -> list[int]:
        return [place for _, place in self._context if place is not None]


def _tensor(column: Column, start: int, stop: int) -> _Tensor:
    datatype = "FP64" if column.spec.numeric else "BYTES"
    data = column.values[start:stop]
    return {"name": column.spec.name, "shape": [stop - start], "datatype": datatype, "data": data}


def _runs(odd: list[bool], most: int) -> Iterator[tuple[int, int]]:
    """Rows that go together, in order: runs without an odd one of at most ``most``, odd ones alone.

    >>> list(_runs([False, False, False, True, False], most=2))
    [(0, 2), (2, 3), (3, 4), (4, 5)]
    """
    start = 0
    while start < len(odd):
        stop = start + 1
        if not odd[start]:
            while stop < len(odd) and stop - start < most and not odd[stop]:
                stop += 1
        yield start, stop
        start = stop


def _texts(times_ms: IntArray) -> list[str]:
    stamps = np.datetime_as_string(times_ms.astype("datetime64[ms]"), unit="ms", timezone="UTC")
    texts: list[str] = stamps.tolist()
    return texts
