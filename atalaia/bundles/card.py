"""``card.md``: what a bundle is, how it was made, its figures and its limits, for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atalaia.bundles.manifest import Manifest
from atalaia.bundles.reference import Reference

VERDICT_ROWS = 1_000
"""Reference rows below which drift results carry no verdict, unless the bundle lowers it."""

Section = tuple[str, str]


def write_card(
    manifest: Manifest,
    reference: Reference,
    *,
    notes: Sequence[str] = (),
    sections: Sequence[Section] = (),
) -> str:
    """The card as Markdown; ``sections`` are titles and texts of a recipe's own."""
    parts = [
        f"# {manifest.name} {manifest.version}",
        manifest.description or "A model packed with `atalaia bundle`.",
        "## What it answers",
        _answers(manifest),
        "## What it takes",
        _features(manifest),
        *_context(manifest),
        "## How it was made",
        _made(manifest.made),
        "## Figures on the reference rows",
        _figures(manifest, reference),
    ]
    for title, text in sections:
        parts += [f"## {title}", text]
    parts += ["## Limits", _bullets([*_limits(manifest, reference), *notes])]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table.

    >>> print(table(["depth", "accuracy"], [[1, 0.5]]))
    | depth | accuracy |
    | --- | --- |
    | 1 | 0.5 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def minimum_reference_rows(manifest: Manifest) -> int:
    """Reference rows this bundle asks for before a drift verdict is given."""
    drift = manifest.monitors.get("drift", {})
    wanted = drift.get("minimum_reference_rows", VERDICT_ROWS) if isinstance(drift, dict) else VERDICT_ROWS
    return int(wanted)


def _answers(manifest: Manifest) -> str:
    if manifest.task == "regression":
        return "A number (`value`), which is also its `score`."
    text = f"One of the classes {', '.join(f'`{label}`' for label in manifest.classes)}."
    if manifest.positive_class is not None and len(manifest.classes) == 2:
        text += f" `score` is the probability of `{manifest.positive_class}`"
        text += "." if manifest.threshold is None else f"; the label is that from {manifest.threshold} on."
    else:
        text += " `score` is the probability of the class predicted."
    return text


def _features(manifest: Manifest) -> str:
    rows = []
    for feature in manifest.features:
        seen = (
            ", ".join(feature.categories or ())
            if not feature.numeric
            else f"{_figure(feature.low)} to {_figure(feature.high)}"
        )
        rows.append(
            (feature.name, feature.datatype, feature.unit or "", seen, "yes" if feature.missing else "no")
        )
    text = table(["feature", "type", "unit", "range or categories", "may be missing"], rows)
    return f"{text}\n\nRanges are those of the reference; a value outside of them is no error by itself."


def _context(manifest: Manifest) -> list[str]:
    if not manifest.context:
        return []
    rows = [
        (
            column.name,
            "number" if column.numeric else "string",
            ", ".join(_figure(edge) for edge in column.bands or ()),
            "yes" if column.protected else "no",
            "yes" if column.required else "no",
        )
        for column in manifest.context
    ]
    text = table(["column", "type", "edges of its bands", "protected", "required"], rows)
    return ["## What travels with a request", f"The model never sees these.\n\n{text}"]


def _made(made: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in made.items() if not isinstance(value, list | dict)}
    nested = {
        f"{name}.{key}": value
        for name, inner in made.items()
        if isinstance(inner, dict)
        for key, value in inner.items()
    }
    return _bullets([f"{name}: {_cell(value)}" for name, value in {**plain, **nested}.items()])


def _figures(manifest: Manifest, reference: Reference) -> str:
    kind = "the rows the model was trained on" if manifest.reference_is_training else "held-out rows"
    rows = [(name, "undefined" if value is None else value) for name, value in reference.performance.items()]
    return f"Over answered, labelled rows of the reference ({kind}).\n\n{table(['figure', 'value'], rows)}"


def _limits(manifest: Manifest, reference: Reference) -> Iterable[str]:
    share = 1 - manifest.applicability_quantile
    applicability = reference.applicability
    yield (
        f"{share:.1%} of good rows are refused as out of distribution by design: the cutoff is the "
        f"{manifest.applicability_quantile:g} quantile of the squared Mahalanobis distance, "
        f"{applicability.cutoff:.4g} over {applicability.degrees_of_freedom} independent directions."
    )
    yield "Heavy tails in the reference raise the cutoff and blunt it: what lies in them is not refused."
    unwatched = [feature.name for feature in manifest.features if not feature.numeric]
    if unwatched:
        yield f"Applicability does not watch the string columns {', '.join(unwatched)}."
    minimum = minimum_reference_rows(manifest)
    rows = len(reference)
    if rows < minimum:
        yield (
            f"{rows} reference rows are fewer than {minimum}: drift results are published without a verdict. "
            "2,000 or more are recommended."
        )
    elif rows < VERDICT_ROWS:
        yield (
            f"{rows} reference rows are fewer than the usual {VERDICT_ROWS}; this bundle lowers the minimum "
            f"to {minimum}, so verdicts are given, with less power and more false alarms than usual."
        )
    if manifest.reference_is_training:
        yield (
            "The reference is the training data, on which a model is surer and righter than on new rows: "
            "verdicts on score, class and performance are off."
        )
    yield "The reference has no order in time: false-alarm rates are stated for independent rows."


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "Not told."


def _cell(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
