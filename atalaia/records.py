"""Every event on the topics, as typed structs: the source of the JSON Schemas.

Inference requests and responses follow the Open Inference Protocol and live in
`atalaia.inference.protocol`; everything else is here. Arrays travel as base64 of little-endian bytes:
exact, quick to read as columns, and able to hold NaN.
"""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.bundles.manifest import ClassLabel, Name

Time = Annotated[str, msgspec.Meta(description="RFC 3339, UTC")]
Role = Literal["primary", "canary", "shadow"]
Outcome = Literal["answered", "abstained", "failed", "expired"]

ArrayDatatype = Literal["BOOL", "UINT8", "INT32", "INT64", "FP32", "FP64"]
_DTYPES: dict[str, str] = {
    "BOOL": "?",
    "UINT8": "u1",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP32": "<f4",
    "FP64": "<f8",
}
_DATATYPES = {np.dtype(code): name for name, code in _DTYPES.items()}


class Array(msgspec.Struct, frozen=True, omit_defaults=True):
    """Numbers of one kind, row-major; ``width`` columns where there is more than one.

    With ``categories`` the numbers are places in that list, -1 where the value is missing.

    >>> Array.of(np.array([1.5, np.nan], np.float32)).numpy()
    array([1.5, nan], dtype=float32)
    """

    datatype: ArrayDatatype
    data: bytes
    width: int = 1
    categories: list[str] | None = None

    @classmethod
    def of(cls, values: npt.NDArray[Any], *, categories: list[str] | None = None) -> "Array":
        """The record of an array of one or two dimensions."""
        width = 1 if values.ndim == 1 else values.shape[1]
        return cls(_DATATYPES[values.dtype], values.tobytes(), width, categories)  # type: ignore[arg-type]

    def numpy(self) -> npt.NDArray[Any]:
        """The array, read-only, ``(n,)`` or ``(n, width)``."""
        flat = np.frombuffer(self.data, np.dtype(_DTYPES[self.datatype]))
        return flat if self.width == 1 else flat.reshape(-1, self.width)


class SourceRange(msgspec.Struct, frozen=True, omit_defaults=True, rename={"start": "from", "end": "to"}):
    """Positions ``[from, to)`` of one partition of `requests` that an observation covers.

    ``at_end`` says that nothing lay beyond ``to`` at ``time_ms``; readers treat such a mark as a row of
    that time, so that a partition without traffic does not hold the watermark back.
    """

    partition: int
    start: int
    end: int
    time_ms: int
    at_end: bool = False


class ModelObservation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one version of a model was asked and answered within the ranges of an observation.

    ``partition``, ``offset``, ``id``, ``rows`` and ``expired`` have one entry a request: where it lay, its
    id, how many rows it had, whether its deadline had passed. The others have one entry a row, in the same
    order. ``label`` holds places in ``classes``.
    """

    model: Name
    version: Name
    role: Role
    digest: str

    partition: Array
    offset: Array
    id: list[str]
    rows: Array
    expired: Array

    event_time_ms: Array
    features: dict[str, Array]
    context: dict[str, Array]
    score: Array
    applicability: Array
    abstained: Array
    label: Array | None = None
    probabilities: Array | None = None
    classes: list[ClassLabel] | None = None


class Observation(msgspec.Struct, frozen=True):
    """A columnar micro-batch: all models of one partition of `observations`, over the same ranges.

    The ranges of one source partition follow each other without a gap; a reader that finds one has
    missed a message.
    """

    scorer: str
    ranges: list[SourceRange]
    models: list[ModelObservation]


class BundleRecord(msgspec.Struct, frozen=True):
    """Where the bundle of a model's version lies and what it must hash to."""

    model: Name
    version: Name
    digest: str
    location: str
    deployed_at: Time


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True, rename={"positions": "from"}):
    """A version in a role, from the given position of each partition of `requests` onwards."""

    version: Name
    digest: str
    role: Role
    positions: dict[int, int]
    deployed_at: Time
    weight: float | None = None


class ModelRecord(msgspec.Struct, frozen=True):
    """The deployments of a model, oldest first; ``created_at`` orders models, the first being the default."""

    name: Name
    created_at: Time
    deployments: list[Deployment]
