"""What a manifest must hold beyond its types, in words."""

from collections import Counter
from collections.abc import Iterator

from atalaia.bundles.manifest import FORMAT, ContextColumn, Feature, Manifest

RESERVED = frozenset({"event_time", "instances"})
"""Names that requests use for other things."""


def problems(manifest: Manifest) -> list[str]:
    """Everything in a manifest that contradicts something else; empty when it is sound."""
    return [*_of_names(manifest), *_of_task(manifest), *_of_features(manifest), *_of_context(manifest)]


def _of_names(manifest: Manifest) -> Iterator[str]:
    if manifest.format != FORMAT:
        yield f"format is {manifest.format}, this version of atalaia reads {FORMAT}"
    if not manifest.features:
        yield "features is empty, expected at least one"
    names = Counter([feature.name for feature in manifest.features])
    names.update(column.name for column in manifest.context)
    for name, times in names.items():
        if times > 1:
            yield f"the name {name!r} is given {times} times among features and context, expected once"
        if name in RESERVED:
            yield f"the name {name!r} is reserved for requests; rename the column"
        if not name:
            yield "a feature or context column has an empty name"
    if not 0 < manifest.applicability_quantile < 1:
        yield f"applicability_quantile is {manifest.applicability_quantile}, expected between 0 and 1"


def _of_task(manifest: Manifest) -> Iterator[str]:
    if manifest.task == "classification":
        yield from _of_classes(manifest)
        yield from _of_threshold(manifest)
        return
    if manifest.model.value is None:
        yield "model.value is missing: a regression needs the output that holds the value"
    for name in ("classes", "positive_class", "threshold"):
        if getattr(manifest, name):
            yield f"{name} is given, but the task is regression"


def _of_classes(manifest: Manifest) -> Iterator[str]:
    if manifest.model.probabilities is None:
        yield "model.probabilities is missing: a classification needs the output that holds them"
    if len(manifest.classes) < 2:
        yield f"classes has {len(manifest.classes)} entries, expected at least 2"
    if len(set(manifest.classes)) < len(manifest.classes):
        yield "classes names a class twice"
    if len({type(label) for label in manifest.classes}) > 1:
        yield "classes mixes numbers and strings"
    if manifest.positive_class is not None and manifest.positive_class not in manifest.classes:
        yield f"positive_class {manifest.positive_class!r} is none of the classes {list(manifest.classes)}"
    if len(manifest.classes) == 2 and manifest.positive_class is None:
        yield "positive_class is missing: a model of two classes needs it"


def _of_threshold(manifest: Manifest) -> Iterator[str]:
    if manifest.threshold is None:
        return
    if len(manifest.classes) != 2:
        yield "threshold is given, but it has a meaning with two classes only"
    if not 0 <= manifest.threshold <= 1:
        yield f"threshold is {manifest.threshold}, expected between 0 and 1"


def _of_features(manifest: Manifest) -> Iterator[str]:
    datatypes = {feature.datatype for feature in manifest.features}
    if manifest.model.inputs == "tensor" and len(datatypes) > 1:
        yield f"model.inputs is 'tensor', but the features have datatypes {sorted(datatypes)}, expected one"
    for feature in manifest.features:
        yield from _of_categories(feature)
        if feature.missing and feature.numeric and not feature.datatype.startswith("FP"):
            yield f"feature {feature.name!r} may be missing, but {feature.datatype} cannot hold that"


def _of_context(manifest: Manifest) -> Iterator[str]:
    for column in manifest.context:
        yield from _of_categories(column)
        if column.bands is None:
            continue
        if not column.numeric:
            yield f"context column {column.name!r} has bands, but holds strings"
        if list(column.bands) != sorted(set(column.bands)):
            yield f"context column {column.name!r} has bands {list(column.bands)}, expected rising edges"


def _of_categories(column: Feature | ContextColumn) -> Iterator[str]:
    if column.categories is not None and column.numeric:
        yield f"column {column.name!r} has categories, but holds numbers"
    if column.categories is not None and len(set(column.categories)) < len(column.categories):
        yield f"column {column.name!r} names a category twice"
