"""The rows of the demo as requests: plain JSON, tensors, and what is written straight to Kafka."""

from typing import Any

import numpy as np
import orjson

from atalaia.demo.posting import Post
from recipes.bmp_panels import FEATURES, Panels, simulate

MODEL = "bmp"
SEED = 20_240_719
ROWS_A_TENSOR = 8
MICROMOLES_A_MILLIGRAM = 88.4
"""Creatinine in umol/L where mg/dL was meant, the mistake that makes rows lie far out."""


class Traffic:
    """Simulated panels, given out one after the other; every request has an id of its own.

    Parameters
    ----------
    rows : how many there are
    run : begins all ids, so that no other run has the same
    """

    def __init__(self, rows: int, run: str) -> None:
        self._panels: Panels = simulate(rows, SEED)
        self._run = run
        self._next_row = 0
        self._next_id = 0

    def plain(self, count: int) -> list[Post]:
        """Single rows as plain JSON, with their context."""
        posts = []
        for row in self._take(count):
            body = dict(zip(FEATURES, self._numbers(row, row + 1), strict=True))
            body |= {"sex": str(self._panels.sex[row]), "age": int(self._panels.age[row])}
            request_id = self._id("plain")
            headers = {"content-type": "application/json", "x-request-id": request_id}
            posts.append(Post("/predict", orjson.dumps(body), request_id, headers=headers))
        return posts

    def tensors(self, count: int, *, rows_each: int = 1) -> list[Post]:
        """Open Inference Protocol requests over HTTP."""
        posts = []
        for _ in range(count):
            rows = self._take(rows_each)
            request_id = self._id("oip")
            body = self._tensor(rows, request_id)
            posts.append(Post(f"/v2/models/{MODEL}/infer", body, request_id))
        return posts

    def messages(self, count: int) -> list[tuple[str, bytes]]:
        """Keys and values for `requests`, a row each."""
        made = []
        for row in self._take(count):
            key = self._id("kafka")
            made.append((key, self._tensor(range(row, row + 1), key)))
        return made

    def far_out(self, count: int) -> list[tuple[str, bytes]]:
        """The same, with creatinine in the wrong unit."""
        rows = self._take(count)
        creatinine = FEATURES.index("creatinine")
        self._panels.features[rows.start : rows.stop, creatinine] *= MICROMOLES_A_MILLIGRAM
        self._next_row = rows.start
        return self.messages(count)

    def _take(self, count: int) -> range:
        start = self._next_row
        self._next_row += count
        return range(start, self._next_row)

    def _id(self, kind: str) -> str:
        self._next_id += 1
        return f"{self._run}-{kind}-{self._next_id:06d}"

    def _tensor(self, rows: range, request_id: str) -> bytes:
        numbers = self._numbers(rows.start, rows.stop)
        shape = [len(rows), len(FEATURES)]
        tensor = {"name": "input", "shape": shape, "datatype": "FP64", "data": numbers}
        return orjson.dumps({"id": request_id, "inputs": [tensor]})

    def _numbers(self, start: int, stop: int) -> list[Any]:
        """Row after row; None where there is no prior panel."""
        values = self._panels.features[start:stop].ravel()
        return [
            None if missing else value
            for value, missing in zip(values.tolist(), np.isnan(values), strict=True)
        ]
