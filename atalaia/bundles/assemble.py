"""Anybody's ONNX file and a reference CSV, made into a bundle.

How the model is read, where ``--config`` does not say:

- One input of several columns takes the features in the order of the CSV; several inputs of one column each
  are matched by name.
- It is a classifier when the graph names classes, an output holds integers or strings, or its numbers have
  two columns or more. A single column of numbers alone is a regression, unless the target has two values:
  two words make it a probability, two numbers may be either, so ``task`` has to be said.
- Classes are those the graph names, else the sorted distinct targets where their number fits.
- The class answered is the likeliest; where the model's own label output says otherwise on some reference
  row, its word is taken.
"""

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from atalaia.bundles.build import build_bundle
from atalaia.bundles.consistency import problems
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import ClassLabel, ContextColumn, Feature, Manifest, ModelFile, Task
from atalaia.bundles.onnx_model import OnnxModel, Outputs
from atalaia.bundles.onnx_signature import OnnxSignature, Output
from atalaia.bundles.overrides import Config, apply_config, read_config
from atalaia.bundles.reference import Answers
from atalaia.bundles.reference_csv import ReferenceTable
from atalaia.bundles.source import Source, mark_missing, match_features, read_rows, takes_one_tensor
from atalaia.bundles.targets import as_number, classes_of_targets, distinct_targets, read_labels
from atalaia.errors import BundleError
from atalaia.inference.rows import Rows

QUARTILES = (0.25, 0.5, 0.75)


def assemble_bundle(source: Source, out: Path, *, replace: bool = False) -> Bundle:
    """Make the bundle.

    Raises
    ------
    BundleError
        saying what does not fit: file, column and row, or what ``--config`` has to say.
    """
    config = read_config(source.config)
    signature = OnnxSignature.read(source.onnx)
    table = ReferenceTable.read(source.reference)
    targets = table.column(source.target, "target")
    columns = match_features(source, signature, table)
    rows = read_rows(columns, table)
    features = mark_missing(columns, rows, source.reference)
    draft = _draft(source, signature, table, features=features, config=config)
    manifest = apply_config(draft, config, source.config)
    if wrong := problems(manifest):
        raise BundleError(f"{source.config or source.onnx}: {'; '.join(wrong)}")
    _check_against_reference(manifest, signature, rows, table)
    manifest, said = _ask(manifest, signature, rows, declared="activation" in config.get("model", {}))
    labels = read_labels(manifest, targets, source)
    return build_bundle(
        out,
        manifest=manifest,
        model=signature.content,
        rows=rows,
        answers=Answers(said.score, said.label, labels, said.probabilities),
        notes=_open_strings(manifest),
        replace=replace,
    )


def _draft(
    source: Source,
    signature: OnnxSignature,
    table: ReferenceTable,
    *,
    features: tuple[Feature, ...],
    config: Config,
) -> Manifest:
    model = config.get("model", {})
    targets = table.columns[source.target]
    output = _number_output(source, signature, model.get("probabilities") or model.get("value"))
    task: Task = config.get("task") or _task(source, signature, output, targets)
    classes: tuple[ClassLabel, ...] = ()
    if task == "classification":
        wanted = 2 if output.width == 1 else output.width
        found = config.get("classes") or signature.classes or classes_of_targets(source, targets, wanted)
        classes = tuple(found)
    return Manifest(
        name=source.name,
        version=source.version,
        task=task,
        model=ModelFile(
            inputs="tensor" if takes_one_tensor(signature, len(features)) else "columns",
            probabilities=output.name if task == "classification" else None,
            value=output.name if task == "regression" else None,
        ),
        features=features,
        context=tuple(_context_column(name, table) for name in source.context),
        classes=classes,
        positive_class=_last(classes) if len(classes) == 2 else None,
        reference_is_training=source.reference_is_training,
        made={
            "command": "atalaia bundle",
            "onnx": f"{source.onnx.name}, sha256 {signature.sha256}",
            "producer": signature.producer,
            "reference": f"{source.reference.name}, {len(table)} rows, sha256 {table.sha256}",
            "target": source.target,
        },
    )


def _check_against_reference(
    manifest: Manifest, signature: OnnxSignature, rows: Rows, table: ReferenceTable
) -> None:
    """What the config says must hold for the file and the reference as well."""
    if signature.classes and manifest.task == "classification" and manifest.classes != signature.classes:
        raise BundleError(
            f"{signature.path}: its classes are {list(signature.classes)}, "
            f"--config says {list(manifest.classes)}"
        )
    position = 0
    for feature in manifest.features:
        strange: list[str] = []
        if feature.numeric:
            missing = bool(np.isnan(rows.numeric[:, position]).any())
            position += 1
        else:
            found = set(rows.strings[feature.name].tolist())
            missing = None in found
            strange = sorted(found - {None, *(found if feature.categories is None else feature.categories)})
        if strange or (missing and not feature.missing):
            what = ", ".join(map(repr, strange[:5])) or "empty cells"
            raise BundleError(
                f"{table.path}, column {feature.name!r}: has {what}, which --config does not allow"
            )


def _last(classes: tuple[ClassLabel, ...]) -> ClassLabel:
    return max(classes, key=lambda label: (isinstance(label, str), label))


def _number_output(source: Source, signature: OnnxSignature, declared: str | None) -> Output:
    named = ", ".join(output.name for output in signature.outputs)
    if not signature.numbers:
        raise BundleError(
            f"{source.onnx}: its outputs ({named}) hold no numbers; export the model with its probabilities"
        )
    candidates = signature.numbers
    if declared is not None:
        candidates = [output for output in candidates if output.name == declared]
    elif len(candidates) > 1:
        candidates = [output for output in candidates if "prob" in output.name.lower()]
    if len(candidates) != 1:
        raise BundleError(
            f"{source.onnx}: which of its outputs ({named}) holds the probabilities or the value? Say so in "
            '--config: [model] probabilities = "..." or value = "..."'
        )
    return candidates[0]


def _task(source: Source, signature: OnnxSignature, output: Output, targets: list[str]) -> Task:
    if signature.classes or signature.labels or output.width != 1:
        return "classification"
    distinct = distinct_targets(targets)
    if len(distinct) != 2:
        return "regression"
    if all(as_number(text) is not None for text in distinct):
        raise BundleError(
            f"{source.onnx} gives one number a row and {source.target!r} has two values: it may be a "
            'probability or a value; say task = "classification" or task = "regression" in --config'
        )
    return "classification"


def _context_column(name: str, table: ReferenceTable) -> ContextColumn:
    if not table.is_numeric(name):
        return ContextColumn(name=name)
    values = table.numbers(name, "FP64")
    present = values[~np.isnan(values)]
    edges = np.unique(np.quantile(present, QUARTILES))
    bands = tuple(float(edge) for edge in edges if edge > present.min())
    return ContextColumn(name=name, datatype="FP64", bands=bands)


def _ask(
    manifest: Manifest, signature: OnnxSignature, rows: Rows, *, declared: bool
) -> tuple[Manifest, Outputs]:
    """What the model says of the reference, checked for being what the manifest takes it for."""
    source = str(signature.path)
    said = OnnxModel(manifest, signature.content, source).answer(rows)
    if not np.isfinite(said.score).all():
        row = int(np.flatnonzero(~np.isfinite(said.score))[0])
        raise BundleError(f"{source}: answers {said.score[row]} on reference row {row + 1}")
    if said.probabilities is not None and not declared:
        _check_probabilities(source, said.probabilities)
    if said.label is None or manifest.threshold is not None or manifest.model.label is not None:
        return manifest, said
    if len(signature.labels) == 1:
        model = msgspec.structs.replace(manifest.model, label=signature.labels[0].name)
        own = msgspec.structs.replace(manifest, model=model)
        by_label = OnnxModel(own, signature.content, source).answer(rows)
        if by_label.label is not None and (by_label.label != said.label).any():
            return own, by_label
    return manifest, said


def _check_probabilities(source: str, probabilities: npt.NDArray[np.float32]) -> None:
    low, high = float(probabilities.min(initial=0.0)), float(probabilities.max(initial=0.0))
    totals = probabilities.sum(axis=1)
    if low < -1e-6 or high > 1 + 1e-6 or (np.abs(totals - 1) > 1e-3).any():
        raise BundleError(
            f"{source}: what it gives are no probabilities (from {low:.4g} to {high:.4g}); say in --config "
            'what makes them so: [model] activation = "sigmoid" or "softmax"; "none" takes them as they are'
        )


def _open_strings(manifest: Manifest) -> list[str]:
    names = [feature.name for feature in manifest.features if not feature.numeric and not feature.categories]
    if not names:
        return []
    return [f"Any string is accepted in {', '.join(names)}; with categories in --config others are refused."]
