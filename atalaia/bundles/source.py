"""What a bundle is assembled from, and the columns of it the model takes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from atalaia.bundles.manifest import Feature
from atalaia.bundles.onnx_signature import OnnxSignature
from atalaia.bundles.reference_csv import ReferenceTable
from atalaia.errors import BundleError
from atalaia.inference.rows import Rows


@dataclass(frozen=True, slots=True)
class Source:
    """What a bundle is assembled from; ``config`` is a TOML file with fields of the manifest."""

    onnx: Path
    reference: Path
    target: str
    name: str
    version: str
    context: tuple[str, ...] = ()
    config: Path | None = None
    reference_is_training: bool = False


def match_features(source: Source, signature: OnnxSignature, table: ReferenceTable) -> list[Feature]:
    """The columns that are neither target nor context, as features in the order the model takes them.

    Raises
    ------
    BundleError
        saying which inputs and columns do not fit each other.
    """
    for name in source.context:
        table.column(name, "context")
    columns = [name for name in table.columns if name != source.target and name not in source.context]
    if takes_one_tensor(signature, len(columns)):
        only = signature.inputs[0]
        if only.width is not None and only.width != len(columns):
            raise BundleError(
                f"{source.onnx}: input {only.name!r} takes {only.width} columns, {source.reference} has "
                f"{len(columns)} beside target and context: {', '.join(columns)}"
            )
        return [Feature(name=name, datatype=only.datatype) for name in columns]
    return _match_by_name(source, signature, columns)


def takes_one_tensor(signature: OnnxSignature, columns: int) -> bool:
    """Whether the model has one input for all columns."""
    return len(signature.inputs) == 1 and (signature.inputs[0].width != 1 or columns == 1)


def _match_by_name(source: Source, signature: OnnxSignature, columns: list[str]) -> list[Feature]:
    wide = [tensor.name for tensor in signature.inputs if tensor.width != 1]
    if wide and len(signature.inputs) > 1:
        raise BundleError(
            f"{source.onnx}: has {len(signature.inputs)} inputs, of which {', '.join(wide)} have several "
            "columns; expected one input of all columns, or one input a column"
        )
    by_spelling = {_spelling(name): name for name in columns}
    matched = {
        tensor.name: tensor.name if tensor.name in columns else by_spelling.get(_spelling(tensor.name))
        for tensor in signature.inputs
    }
    absent = [name for name, column in matched.items() if column is None]
    unused = [name for name in columns if name not in matched.values()]
    if absent or unused or len(set(matched.values())) < len(matched):
        raise BundleError(
            f"{source.onnx} and {source.reference} differ: inputs without a column: "
            f"{', '.join(absent) or 'none'}; columns without an input: {', '.join(unused) or 'none'} "
            "(drop them, or name them in --context)"
        )
    return [
        Feature(name=column, datatype=tensor.datatype, input=None if column == tensor.name else tensor.name)
        for tensor in signature.inputs
        if (column := matched[tensor.name]) is not None
    ]


def _spelling(name: str) -> str:
    """A name as exporters write it: skl2onnx has no room for spaces and dashes."""
    return re.sub(r"[^0-9a-zA-Z]", "_", name).strip("_")


def read_rows(features: Sequence[Feature], table: ReferenceTable) -> Rows:
    """The reference as the model is served it."""
    numeric = [table.numbers(feature.name, feature.datatype) for feature in features if feature.numeric]
    return Rows(
        numeric=np.column_stack(numeric) if numeric else np.zeros((len(table), 0)),
        strings={feature.name: table.strings(feature.name) for feature in features if not feature.numeric},
    )


def mark_missing(features: Sequence[Feature], rows: Rows, path: Path) -> tuple[Feature, ...]:
    """The features, those with empty cells allowed to be missing.

    Raises
    ------
    BundleError
        for an empty cell of a datatype that has no missing value.
    """
    marked, position = [], 0
    for feature in features:
        if feature.numeric:
            empty = np.isnan(rows.numeric[:, position])
            position += 1
        else:
            empty = np.array([value is None for value in rows.strings[feature.name]], np.bool_)
        if empty.any() and feature.numeric and not feature.datatype.startswith("FP"):
            raise BundleError(
                f"{path}, row {int(empty.argmax()) + 1}, column {feature.name!r}: empty, but the model takes "
                f"{feature.datatype}, which cannot be missing"
            )
        marked.append(msgspec.structs.replace(feature, missing=bool(empty.any())))
    return tuple(marked)
