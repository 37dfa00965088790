"""The typed content of ``bundle.toml``: what a model is called, takes and gives."""

from typing import Annotated, Any, Literal

import msgspec

FORMAT = 1
"""Version of the bundle format this library writes; it reads this one and refuses others by name."""

Task = Literal["classification", "regression"]
Datatype = Literal["BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64",
                   "FP16", "FP32", "FP64", "BYTES"]  # fmt: skip
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
ClassLabel = int | str


class Feature(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One input of the model.

    ``datatype`` is what the model is served: values are cast to it before scoring and counting.
    ``categories`` closes the set of a BYTES feature; ``missing`` allows null. ``input`` is the model's own
    name of it, where that differs (exporters replace spaces and dashes). ``low`` and ``high``
    are documentation, never a refusal: applicability decides that.
    """

    name: str
    datatype: Datatype = "FP32"
    unit: str | None = None
    description: str | None = None
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] | None = None
    missing: bool = False
    input: str | None = None

    @property
    def numeric(self) -> bool:
        """Whether the feature is a number rather than a string."""
        return self.datatype != "BYTES"


class ContextColumn(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A column that travels with a request but that the model never sees.

    ``bands`` are the inner edges of half-open bands of a numeric column: (30, 50) gives
    below 30, [30, 50), 50 and above.
    """

    name: str
    datatype: Literal["FP64", "BYTES"] = "BYTES"
    bands: tuple[float, ...] | None = None
    categories: tuple[str, ...] | None = None
    protected: bool = True
    required: bool = False

    @property
    def numeric(self) -> bool:
        """Whether the column is a number rather than a string."""
        return self.datatype != "BYTES"


class ModelFile(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How ``model.onnx`` is fed and read.

    ``inputs`` is ``tensor`` (one ``[n, d]`` tensor) or ``columns`` (one ``[n, 1]`` input a feature).
    Outputs are named as in the file; a classifier has ``probabilities``, a regressor ``value``.
    """

    inputs: Literal["tensor", "columns"]
    probabilities: str | None = None
    label: str | None = None
    value: str | None = None
    activation: Literal["none", "sigmoid", "softmax"] = "none"


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """``bundle.toml``.

    ``positive_class`` is the one ``score`` speaks of in a binary model; with ``threshold`` the label is
    positive when score >= threshold. ``applicability_quantile`` is the share of held-out rows kept.
    ``reference_is_training`` turns score verdicts off. ``monitors`` is read by the monitors, one table each:
    ``drift.minimum_reference_rows`` (default 1000: fewer give results without a verdict),
    ``drift.minimum_window_rows`` (default 500), ``performance.minimum_labelled_rows`` (default 100).
    ``made`` says how the bundle was made.
    """

    name: Name
    version: Name
    task: Task
    model: ModelFile
    features: tuple[Feature, ...]
    context: tuple[ContextColumn, ...] = ()
    classes: tuple[ClassLabel, ...] = ()
    positive_class: ClassLabel | None = None
    threshold: float | None = None
    applicability_quantile: float = 0.999
    reference_is_training: bool = False
    description: str | None = None
    monitors: dict[str, Any] = {}
    made: dict[str, Any] = {}
    format: int = FORMAT
