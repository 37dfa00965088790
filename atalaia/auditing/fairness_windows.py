"""What a window of `fairness` comes to, from its rows and their labels."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.auditing import error_groups, fairness_figures, group_gaps
from atalaia.auditing.gathered import Labelled, Selection, attribute_values, column, counted, values
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import MonitorSettings
from atalaia.monitors.units import Watched

Figures = dict[str, Any]
AnyArray = npt.NDArray[Any]
_UNJUDGED = {"judged": False, "hit": False}


def fairness(
    selection: Selection, rows: Labelled, watched: Watched, settings: MonitorSettings, body: Mapping[str, Any]
) -> tuple[Figures, Figures]:
    """Groups by their values and gaps by metric and attribute, and what the result says of the same."""
    manifest, set_ = watched.manifest, settings.fairness
    attributes = protected(manifest, settings)
    n = len(rows.truth)
    told = {
        name: attribute_values(
            _context(selection, name),
            ((place, context.get(name)) for place, context in rows.contexts.items()),
            bands=bands,
            n=n,
        )
        for name, bands in attributes.items()
    }
    published = {name: body[name] for name in ("n", "labelled", "groups", "gaps", "errors")}
    favourable = favourable_of(manifest, settings)
    if favourable is None:
        answers = _answers(selection, rows, told, classes=bool(manifest.classes))
        errors = _keyed(error_groups.described(answers, depth=set_.depth))
        return counted(rows) | {"groups": [], "gaps": [], "errors": errors}, published | {
            "errors": _keyed(body["errors"])
        }
    flagged, truth = _decided(selection, rows, manifest, favourable)
    decided = fairness_figures.Decided(told, flagged, truth, rows.abstained)
    members = fairness_figures.groups(decided, depth=set_.depth)
    rule = fairness_figures.Rule(set_.may_alert, set_.difference, set_.ratio, set_.rows, set_.outcomes)
    groups = _keyed(
        fairness_figures.described(name, key, group)
        for name, of_name in members.items()
        for key, group in of_name.items()
    )
    gaps = _by_name(body["gaps"])
    expected = {
        f"{metric} by {attribute}": group_gaps.expected(
            metric, of_name, gaps.get(f"{metric} by {attribute}", []), rule
        )
        for attribute, of_name in members.items()
        for metric in group_gaps.METRICS
        if of_name
    }
    if body["why"] is not None:
        expected = {name: [one | _UNJUDGED for one in ones] for name, ones in expected.items()}
    figures = counted(rows) | {"groups": groups, "gaps": _whole(expected), "errors": []}
    return figures, published | {"groups": _keyed(body["groups"]), "gaps": _whole(gaps)}


def _keyed(entries: Iterable[Mapping[str, Any]]) -> Figures:
    """Entries by their group, and how many there are."""
    listed = list(entries)
    return _whole({_key(entry["group"]): entry for entry in listed}) | {"number": len(listed)}


def _by_name(gaps: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Gaps by metric and attribute, in their order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for gap in gaps:
        found.setdefault(f"{gap['metric']} by {gap['attribute']}", []).append(gap)
    return found


def _whole(entries: Mapping[str, Any]) -> Figures:
    """Entries by name, and the names, so that one too many differs as well."""
    return {**entries, "names": sorted(entries)}


def protected(manifest: Manifest, settings: MonitorSettings) -> dict[str, tuple[float, ...]]:
    """The protected attributes of a version and their bands: as set, else as its bundle declares them."""
    named = settings.fairness.attributes
    return {
        entry.name: tuple(entry.bands or ())
        for entry in manifest.context
        if (entry.protected if named is None else entry.name in named)
    }


def favourable_of(manifest: Manifest, settings: MonitorSettings) -> float | None:
    """The favourable class's place, or the least favourable value; None where there is none."""
    declared = settings.fairness.favourable
    if manifest.task == "regression":
        return float(declared) if isinstance(declared, int | float) else None
    chosen = manifest.positive_class if declared is None else declared
    return float(manifest.classes.index(chosen)) if chosen in manifest.classes else None


def _key(group: Mapping[str, str]) -> str:
    return " & ".join(f"{name}={value}" for name, value in sorted(group.items()))


def _decided(
    selection: Selection, rows: Labelled, manifest: Manifest, favourable: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    if manifest.task == "regression":
        said = column(selection, lambda section: section.score.numpy()).astype(np.float64)
        truth = np.where(np.isnan(rows.truth), -1, rows.truth >= favourable)
        return said >= favourable, truth.astype(np.int64)
    predicted = column(selection, lambda section: None if section.label is None else section.label.numpy())
    truth = np.where(rows.truth < 0, -1, rows.truth == favourable)
    return predicted == favourable, truth.astype(np.int64)


def _answers(
    selection: Selection, rows: Labelled, told: Mapping[str, list[str]], *, classes: bool
) -> error_groups.Answers:
    """What was said of each row: a class's place, or a value."""
    if classes:
        said = column(selection, lambda section: None if section.label is None else section.label.numpy())
    else:
        said = column(selection, lambda section: section.score.numpy())
    return error_groups.Answers(told, said, rows.truth, rows.known, rows.abstained, classes)


def _context(selection: Selection, name: str) -> AnyArray | None:
    """A context column of the rows; missing in messages that lack it."""
    parts: list[AnyArray] = []
    for chunk, inside in selection:
        found = chunk.section.context.get(name)
        whole = np.full(len(inside), None, np.object_) if found is None else values(found)
        parts.append(whole[inside].astype(np.object_))
    return np.concatenate(parts) if parts else None
