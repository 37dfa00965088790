"""What the join keeps of a row and of a label, for versions alike in task, classes and attributes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import ClassLabel, Manifest
from atalaia.join.matching import JoinRules
from atalaia.join.rows import ByteArray
from atalaia.monitors.configuration import MonitorSettings
from atalaia.statistics.groups import Attribute

StructArray = npt.NDArray[Any]
"""Of the dtype that a layout calls ``row`` or ``label``."""

IN_PERFORMANCE = 1 << 14
IN_FAIRNESS = 1 << 15
MOST_STREAMS = 1 << 14
"""A row names its stream in 14 bits; the other two say which windows it was in time for."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of alike versions are kept: widths are fixed, so versions that differ do not share rows.

    A row is its stream, the place of its values of the attributes (`Cells`), its place in the stream's order
    of rows, its score, and of a classifier the class it was given and, of more than two, all probabilities.
    A label is a class or a value, and the place of attributes that came with it.
    """

    classes: tuple[ClassLabel, ...]
    probabilities: int
    attributes: tuple[Attribute, ...]
    most_groups: int
    horizon_ms: int
    grace_ms: int

    @classmethod
    def of(cls, manifest: Manifest, settings: MonitorSettings, *, probabilities: int) -> "Layout":
        """That of a version; ``probabilities`` is how many its observations have a row, 0 for none."""
        windows = (settings.performance, settings.fairness)
        lengths = [max(part.window_ms, part.pane_ms) + part.lateness_ms for part in windows if part.enabled]
        return cls(
            classes=manifest.classes,
            probabilities=probabilities if len(manifest.classes) > 2 else 0,
            attributes=attributes_of(manifest, settings),
            most_groups=settings.fairness.most_groups,
            horizon_ms=settings.labels.horizon_ms,
            grace_ms=max(lengths, default=0),
        )

    @property
    def digest(self) -> str:
        """Names it, and the rows kept so."""
        parts = (
            self.classes,
            self.probabilities,
            [(attribute.name, attribute.bands) for attribute in self.attributes],
            self.most_groups,
            self.horizon_ms,
            self.grace_ms,
        )
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]

    @property
    def row(self) -> np.dtype[Any]:
        """Of a row: 12 bytes, one or two for the class, four for each probability."""
        fields: list[tuple[Any, ...]] = [
            ("stream", "<u2"), ("cell", "<u2"), ("ordinal", "<u4"), ("score", "<f4"),
        ]  # fmt: skip
        if self.classes:
            fields.append(("predicted", self._class_code))
        if self.probabilities:
            fields.append(("probabilities", "<f4", (self.probabilities,)))
        return np.dtype(fields)

    @property
    def label(self) -> np.dtype[Any]:
        """Of a label: a class or a value, and two bytes."""
        return np.dtype([("truth", self._class_code if self.classes else "<f8"), ("cell", "<u2")])

    @property
    def rules(self) -> JoinRules:
        """How rows kept so are joined."""
        return JoinRules(self.horizon_ms, self.grace_ms, self.row.itemsize, self.label.itemsize)

    @property
    def _class_code(self) -> str:
        return "u1" if len(self.classes) <= 256 else "<u2"


def attributes_of(manifest: Manifest, settings: MonitorSettings) -> tuple[Attribute, ...]:
    """The protected attributes of a version: as set, else the context columns that are declared so."""
    named = settings.fairness.attributes
    return tuple(
        Attribute(column.name, tuple(column.bands or ()))
        for column in manifest.context
        if (column.protected if named is None else column.name in named)
    )


def as_bytes(rows: StructArray) -> ByteArray:
    """Packed structs ``(n,)`` as ``(n, width)``."""
    flat: ByteArray = np.ascontiguousarray(rows).view(np.uint8)
    return flat.reshape(len(rows), rows.dtype.itemsize)


def as_structs(data: ByteArray, dtype: np.dtype[Any]) -> StructArray:
    """The structs of `as_bytes`."""
    structs: StructArray = np.ascontiguousarray(data).view(dtype)
    return structs.reshape(len(data))


def concatenated(parts: Sequence[StructArray], dtype: np.dtype[Any]) -> StructArray:
    """Structs one after the other."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, dtype)
