"""What a window of `fairness` comes to, from its rows and their labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.auditing import fairness_figures
from atalaia.auditing.gathered import Labelled, Selection, attribute_values, column, counted, values
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import MonitorSettings
from atalaia.monitors.units import Watched

Figures = dict[str, Any]
AnyArray = npt.NDArray[Any]


def fairness(
    selection: Selection, rows: Labelled, watched: Watched, settings: MonitorSettings, body: Mapping[str, Any]
) -> tuple[Figures, Figures]:
    """Groups by their values and gaps by metric, attribute and pair, and what the result says of the same."""
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
    favourable = favourable_of(manifest, settings)
    if favourable is None:
        return counted(rows), {name: body[name] for name in ("n", "labelled")}
    flagged, truth = _decided(selection, rows, manifest, favourable)
    decided = fairness_figures.Decided(told, flagged, truth, rows.abstained)
    members = fairness_figures.groups(decided, depth=set_.depth)
    rule = fairness_figures.Rule(set_.may_alert, set_.difference, set_.ratio, set_.rows, set_.outcomes)
    groups = {
        _key(entry["group"]): entry
        for entry in (
            fairness_figures.described(name, key, group)
            for name, of_name in members.items()
            for key, group in of_name.items()
        )
    }
    expected = counted(rows) | {"groups": groups, "gaps": {}, "widest": {}}
    published = {name: body[name] for name in ("n", "labelled")}
    published |= {
        "groups": {_key(entry["group"]): entry for entry in body["groups"]},
        "gaps": {},
        "widest": {},
    }
    if len(groups) != len(body["groups"]):
        expected["number of groups"], published["number of groups"] = len(groups), len(body["groups"])
    for gap in body["gaps"]:
        _add_gap(gap, members, rule, expected, published, mature=body["why"] is None)
    return expected, published


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


def _add_gap(
    gap: Mapping[str, Any],
    members: Mapping[str, fairness_figures.Members],
    rule: fairness_figures.Rule,
    expected: Figures,
    published: Figures,
    *,
    mature: bool,
) -> None:
    """Put a published gap, and what it should be, under one name."""
    metric, attribute = gap["metric"], gap["attribute"]
    if metric.startswith("equalized_odds") or attribute not in members:
        return  # the worse of two that are compared by themselves
    name = f"{metric} by {attribute}"
    if name not in published["widest"]:  # the first of a metric is the widest
        published["widest"][name] = gap["value"]
        expected["widest"][name] = fairness_figures.widest(metric, members[attribute])
    if gap["value"] is None:
        return
    found = fairness_figures.gap(metric, members[attribute], gap["between"], rule)
    if not mature:
        found |= {"judged": False, "hit": False}
    name = f"{name} between {' and '.join(gap['between'])}"
    published["gaps"][name], expected["gaps"][name] = gap, found


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


def _context(selection: Selection, name: str) -> AnyArray | None:
    """A context column of the rows; missing in messages that lack it."""
    parts: list[AnyArray] = []
    for chunk, inside in selection:
        found = chunk.section.context.get(name)
        whole = np.full(len(inside), None, np.object_) if found is None else values(found)
        parts.append(whole[inside].astype(np.object_))
    return np.concatenate(parts) if parts else None
