"""What the commands that make bundles say of them."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from atalaia.bundles.folder import Bundle


def describe(bundle: Bundle) -> Table:
    """A few lines for people."""
    manifest, reference = bundle.manifest, bundle.reference
    summary = Table(show_header=False, box=None, title=f"{escape(bundle.name)} {escape(bundle.version)}")
    summary.add_column(style="bold")
    summary.add_column(overflow="fold")
    strings = sum(not feature.numeric for feature in manifest.features)
    answers = ", ".join(str(label) for label in manifest.classes) or "a number"
    lines = {
        "task": f"{manifest.task}: {answers}",
        "features": f"{len(manifest.features)}, {strings} of them strings, fed by {manifest.model.inputs}",
        "context": ", ".join(column.name for column in manifest.context) or "none",
        "reference": f"{len(reference)} rows"
        + (" (training rows)" if manifest.reference_is_training else ""),
        "cutoff": f"{reference.applicability.cutoff:.4g}, {int(reference.abstained.sum())} rows beyond",
        "figures": ", ".join(_figures(bundle)),
        "digest": bundle.digest,
        "card": str(bundle.folder / "card.md"),
    }
    for name, text in lines.items():
        summary.add_row(name, escape(text))
    return summary


def answer(bundle: Bundle) -> dict[str, Any]:
    """The same for programs."""
    return {
        "path": str(bundle.folder),
        "name": bundle.name,
        "version": bundle.version,
        "digest": bundle.digest,
        "reference_rows": len(bundle.reference),
        "performance": dict(bundle.reference.performance),
    }


def _figures(bundle: Bundle) -> list[str]:
    return [
        f"{name} {'undefined' if value is None else f'{value:.6g}'}"
        for name, value in bundle.reference.performance.items()
    ]
