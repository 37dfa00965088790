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
DeploymentRole = Literal["primary", "canary", "shadow", "retired"]
Outcome = Literal["answered", "abstained", "failed", "expired", "mark"]

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


class TimeMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """The value of a message with the header ``mark`` on `requests` or `labels`, which is about what follows.

    ``clock`` is the wall clock of a gateway, of all models of a partition of `labels`. A replay declares its
    own time of one model: on every partition ``begin`` before its first row, ``at`` now and then, ``end``
    after its last; between them nothing else moves that model's time. ``partitions`` is how many partitions
    the replay marks. ``deployment`` says that from here on the deployment of that time is in force, whose
    record follows at once.
    """

    kind: Literal["clock", "begin", "at", "end", "deployment"]
    time_ms: int
    model: Name | None = None
    replay: str | None = None
    partitions: int = 0
    deployed_at: Time | None = None


class ObservedMark(msgspec.Struct, frozen=True):
    """A mark of a replay or a deployment, and where on `requests` it lay."""

    partition: int
    offset: int
    mark: TimeMark


class ReferenceFile(msgspec.Struct, frozen=True):
    """A reference made from the stream in place of a bundle's own: where it lies and what it hashes to."""

    location: str
    digest: str


class MonitorChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a model is watched from here on: tables that overlay its bundle's own, and another reference.

    It lies on `observations` itself, so that the position from which it holds is its own. ``offset`` is that
    position where the change is repeated in the model's record, for who reads after it has expired.
    """

    model: Name
    monitors: dict[str, Any]
    changed_at: Time
    reference: ReferenceFile | None = None
    offset: int | None = None


class ModelObservation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one version of a model was asked and answered within the ranges of an observation.

    ``partition``, ``offset``, ``id``, ``rows`` and ``expired`` have one entry a request: where it lay, its
    id, how many rows it had, whether its deadline had passed. The others have one entry a row, in the same
    order. ``label`` holds places in ``classes``.

    ``waited_ms`` has one entry a batch that was scored together: how long the oldest of its requests had
    lain on `requests` by then, by that message's own time. ``waited_rows`` is how many rows the batch had.
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
    waited_ms: Array | None = None
    waited_rows: Array | None = None


class Observation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A columnar micro-batch: all models of one partition of `observations`, over the same ranges.

    The ranges of one source partition follow each other without a gap; a reader that finds one has
    missed a message. ``marks`` are those of replays within the ranges: ``begin`` counts before the rows of
    the message, the others after them. A message with ``changes`` is the operator's and has nothing else.
    """

    scorer: str
    ranges: list[SourceRange]
    models: list[ModelObservation]
    marks: list[ObservedMark] = []
    changes: list[MonitorChange] = []


LabelValue = str | int | float | bool | None
ContextValue = str | int | float | None


class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """The truth of one row, as somebody knows it.

    ``id`` is the request's, ``row`` the place of the row in it. ``label`` is a class or a value. ``time`` is
    when the truth was known; left out, it is when the message was written. ``context`` holds protected
    attributes that did not come with the request.
    """

    id: str
    label: LabelValue
    row: int = 0
    time: Time | None = None
    context: dict[str, ContextValue] | None = None


class LabelColumns(msgspec.Struct, frozen=True, omit_defaults=True):
    """Many labels as columns of one length, for those who have them so."""

    ids: list[str]
    labels: list[LabelValue]
    rows: list[int] | None = None
    times: list[Time] | None = None
    context: dict[str, list[ContextValue]] | None = None


class BundleRecord(msgspec.Struct, frozen=True):
    """Where the bundle of a model's version lies and what it must hash to."""

    model: Name
    version: Name
    digest: str
    location: str
    deployed_at: Time


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True, rename={"positions": "from"}):
    """A version in a role, from the given position of each partition of `requests` onwards.

    ``weight`` is the share of a canary in percent. A ``retired`` version takes no part any more.
    """

    version: Name
    digest: str
    role: DeploymentRole
    positions: dict[int, int]
    deployed_at: Time
    weight: float | None = None


class ModelRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The deployments of a model, oldest first; ``created_at`` orders models, the first being the default.

    ``monitors`` repeats what lay on `observations`, oldest first.
    """

    name: Name
    created_at: Time
    deployments: list[Deployment]
    monitors: list[MonitorChange] = []
