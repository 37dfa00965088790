"""What the gateway needs of a model version: enough to check a request, nothing to score it with."""

from typing import Any

import numpy as np

from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import ContextColumn, Manifest
from atalaia.errors import Contribution, OutOfDistribution, UnknownModel
from atalaia.inference.bounds import Bounds
from atalaia.inference.responses import ResponseWriter, out_of_distribution
from atalaia.inference.rows import FloatArray, Rows
from atalaia.inference.signature import Signature
from atalaia.stream.catalog import View


class Served:
    """A model version, as the gateway knows it.

    Parameters
    ----------
    bundle : verified; its ONNX file is not loaded, and the reference is let go but for one example row
    """

    def __init__(self, bundle: Bundle) -> None:
        self.manifest: Manifest = bundle.manifest
        self.name, self.version = bundle.manifest.name, bundle.manifest.version
        self.signature = Signature(bundle.manifest)
        self.bounds = Bounds(bundle.manifest, ResponseWriter(bundle.manifest))
        self.applicability = bundle.reference.applicability
        self.width = len(bundle.manifest.features)
        self.narrow = all(feature.datatype == "FP32" for feature in bundle.manifest.features)
        names = {feature.name for feature in bundle.manifest.features}
        names |= {column.name for column in bundle.manifest.context}
        self.tensor_name = next(name for name in ("input", "features", "rows", "_") if name not in names)
        self.outputs = output_tensors(bundle.manifest)
        self.example = example(bundle.manifest, bundle.reference.background, self._most_typical(bundle))

    def refuse_row(self, row: FloatArray, distance: float) -> OutOfDistribution:
        """The refusal of a single row ``(k,)`` of numeric features, the largest contributions first."""
        shares = self.applicability.contributions(row).tolist()
        named = [
            Contribution(feature, share)
            for feature, share in zip(self.applicability.features, shares, strict=True)
        ]
        named.sort(key=lambda entry: -entry.contribution)
        return out_of_distribution(distance, self.applicability.cutoff, named)

    def _most_typical(self, bundle: Bundle) -> int:
        background = bundle.reference.background.numeric
        return int(np.argmin(self.applicability.squared_distance(background))) if len(background) else 0


def resolve(view: View[Served], model: str | None, version: str | None) -> Served:
    """The version that answers a request.

    Raises
    ------
    UnknownModel, NoPrimary
    """
    if version is None:
        return view.primary(model)
    deployment, served = view.version(model, version)
    if deployment.role == "shadow":
        raise UnknownModel(f"version {version!r} of model {served.name!r} is a shadow and answers nobody")
    return served


def output_tensors(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """The tensors of a response by name, in order, as the protocol's metadata describes them."""
    described: dict[str, tuple[str, list[int]]] = {}
    if manifest.task == "regression":
        described["value"] = ("FP32", [-1])
    else:
        whole = all(isinstance(label, int) for label in manifest.classes)
        described["label"] = ("INT64" if whole else "BYTES", [-1])
        described["probabilities"] = ("FP32", [-1, len(manifest.classes)])
    described |= {"score": ("FP32", [-1]), "applicability": ("FP32", [-1]), "abstained": ("BOOL", [-1])}
    return {
        name: {"name": name, "datatype": datatype, "shape": shape}
        for name, (datatype, shape) in described.items()
    }


def example(manifest: Manifest, rows: Rows, row: int) -> dict[str, Any]:
    """One row of ``rows`` as plain JSON, with values for the context columns that have known ones."""
    values: dict[str, Any] = {}
    numeric = iter(rows.numeric[row].tolist() if len(rows) else [])
    for feature in manifest.features:
        if feature.numeric:
            number = next(numeric, 0.0)
            values[feature.name] = _plain_number(number, feature.datatype)
        else:
            values[feature.name] = rows.strings[feature.name][row] if len(rows) else ""
    for column in manifest.context:
        known = _context_example(column)
        if known is not None:
            values[column.name] = known
    return values


def _plain_number(number: float, datatype: str) -> float | int | bool | None:
    """A number as a person would write it: float32 0.7 is 0.7, not 0.699999988079071."""
    if np.isnan(number):
        return None
    if datatype == "BOOL":
        return bool(number)
    if not datatype.startswith("FP"):
        return int(number)
    return float(str(np.float32(number))) if datatype == "FP32" else number


def _context_example(column: ContextColumn) -> str | float | None:
    if column.categories:
        return column.categories[0]
    if column.numeric and column.bands:
        return column.bands[0]
    if column.required:
        return 0.0 if column.numeric else "string"
    return None
