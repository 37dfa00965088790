"""A window's rows as columns, from the messages they lie in, with the truth of each."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.auditing.joined import Truths
from atalaia.auditing.observed import Chunk, row_places
from atalaia.bundles.manifest import Manifest
from atalaia.records import Array, ContextValue
from atalaia.windows.watermark import BoolArray, IntArray

AnyArray = npt.NDArray[Any]
Selection = Sequence[tuple[Chunk, BoolArray]]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows ``(n,)`` with their truth: a class's place, -1 where unknown, or a value, NaN where unknown.

    ``waited_ms`` is how long the truth of the known ones took; ``contexts`` what labels said of their rows.
    """

    rows: AnyArray
    times_ms: IntArray
    abstained: BoolArray
    truth: AnyArray
    waited_ms: IntArray
    contexts: Mapping[int, Mapping[str, ContextValue]]

    @property
    def known(self) -> BoolArray:
        """Answered rows with a label."""
        there = ~np.isnan(self.truth) if self.truth.dtype.kind == "f" else self.truth >= 0
        answer: BoolArray = there & ~self.abstained
        return answer


def column(selection: Selection, read: Any) -> AnyArray:
    """What ``read`` finds in each message, of the selected rows; messages without it are left out."""
    parts = []
    for chunk, inside in selection:
        values = read(chunk.section)
        if values is not None:
            parts.append(values[inside])
    return np.concatenate(parts) if parts else np.zeros(0)


def values(array: Array) -> AnyArray:
    """Numbers, or strings with None where missing."""
    numbers = array.numpy()
    if array.categories is None:
        return numbers
    names = np.array([*array.categories, None], np.object_)
    strings: AnyArray = names[numbers]  # -1 is the last, missing
    return strings


def with_truth(
    selection: Selection, stored: Mapping[int, BoolArray], truths: Truths, *, labels_before: int, unknown: Any
) -> Labelled:
    """The selected rows, with their labels of before a position of `labels`."""
    count = sum(int(inside.sum()) for _, inside in selection)
    truth = np.full(count, unknown)
    waited: list[int] = []
    contexts: dict[int, Mapping[str, ContextValue]] = {}
    place = 0
    for chunk, inside in selection:
        section, waits = chunk.section, stored.get(chunk.offset)
        rows = np.flatnonzero(inside)
        if waits is not None and waits[rows].any():
            requests = np.repeat(np.arange(len(section.id)), section.rows.numpy())
            in_request = row_places(section)
            for at in np.flatnonzero(waits[rows]).tolist():
                row = rows[at]
                time_ms = int(chunk.times_ms[row])
                found = truths.of(
                    section.id[requests[row]], int(in_request[row]), time_ms, before=labels_before
                )
                if found is not None:
                    label, truth[place + at] = found
                    waited.append(label.time_ms - time_ms)
                    if label.context:
                        contexts[place + at] = label.context
        place += len(rows)
    return Labelled(
        np.arange(count),
        column(selection, lambda section: section.event_time_ms.numpy()).astype(np.int64),
        column(selection, lambda section: section.abstained.numpy()).astype(np.bool_),
        truth,
        np.array(waited, np.int64),
        contexts,
    )


def attribute_values(
    column_values: AnyArray | None,
    told: Iterable[tuple[int, ContextValue]],
    *,
    bands: Sequence[float],
    n: int,
) -> list[str]:
    """The group of each row ``(n,)`` by an attribute, which a label may tell instead of the row."""
    known: list[ContextValue] = [None] * n if column_values is None else column_values.tolist()
    names = [group_name(value, bands) for value in known]
    for place, value in told:
        if value is not None and value != "":
            name = group_name(value, bands)
            if name != "missing":
                names[place] = name
    return names


def group_name(value: ContextValue, bands: Sequence[float]) -> str:
    """What a value's group is called.

    >>> group_name(30.0, (30.0, 50.0)), group_name(None, ()), group_name(1.0, ())
    ('[30, 50)', 'missing', '1')
    """
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return "missing"
    if bands:
        if isinstance(value, str):
            return "missing"
        above = sum(float(value) >= edge for edge in bands)
        edges = [f"{edge:.12g}" for edge in bands]
        if above == 0:
            return f"<{edges[0]}"
        return f">={edges[-1]}" if above == len(edges) else f"[{edges[above - 1]}, {edges[above]})"
    return value if isinstance(value, str) else f"{value + 0.0:.12g}"


def unknown_truth(manifest: Manifest) -> Any:
    """What stands for a label that is not known."""
    return math.nan if manifest.task == "regression" else -1


def counted(rows: Labelled) -> dict[str, int]:
    """Rows by what became of them, which is enough to tell which rows a result is of."""
    return {"n": int((~rows.abstained).sum()), "labelled": int(rows.known.sum())}
