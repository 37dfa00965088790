"""A rule that changes with time: half hours of a market for electricity, its price foretold in two ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from atalaia.bundles.folder import Bundle
from atalaia.demo import findings
from atalaia.demo.accuracy import (
    Answered,
    Episode,
    IntArray,
    Verdict,
    compare,
    compare_evidence,
    detections,
    differing_detections,
    ends_ms,
    episodes,
    judge,
    published,
)
from atalaia.demo.bulletin import tell_tree
from atalaia.demo.checks import Checks
from atalaia.demo.findings import INPUTS
from atalaia.demo.history import Record
from atalaia.demo.plan import DAY_MS
from atalaia.demo.recounted import differing
from atalaia.demo.replaying import Predictions, Replayed, outputs_by_row, replay_answered
from atalaia.demo.telling import Teller
from atalaia.inference.columns import parse_time
from atalaia.inference.responses import ABSTAINED
from atalaia.monitors.configuration import MonitorSettings, monitor_settings
from atalaia.replay.run import Options
from atalaia.settings import Settings
from atalaia.topics import DRIFT, PERFORMANCE
from recipes.electricity import A_DAY, DETECTORS, FEATURES, TARGET, HalfHours, split
from recipes.electricity_previous import Decisions

TREE, PREVIOUS = "electricity", "electricity-previous"
KNOWN_ACCURACY, TO = 0.853, 0.001
"""Of the previous label, as it is published of this data."""
NEIGHBOUR = ("vicprice", "vicdemand", "transfer")
"""One value each in all that the tree is made of."""
ACCURACY = ("performance", "accuracy")
"""Monitor and subject of the alert that is told."""
_STEP_MS = DAY_MS // A_DAY


class Stream(Protocol):
    """Rows to be replayed."""

    @property
    def labels(self) -> IntArray:
        """The truth (n,)."""

    def write_csv(self, path: Path) -> None:
        """As a table with the truth."""


class Watched(NamedTuple):
    """A replayed model, its rows, and how many answers are right on its reference rows, of how many."""

    replayed: Replayed
    rows: Answered
    reference: tuple[int, int]

    @property
    def settings(self) -> MonitorSettings:
        """As the bundle says."""
        return monitor_settings(self.replayed.manifest.monitors)

    @property
    def results(self) -> list[Record]:
        """Of performance, the latest of each window that is over with the last row."""
        last_ms = int(self.rows.time_ms[-1])
        return [one for one in self.replayed.history.latest(PERFORMANCE.name) if ends_ms(one) <= last_ms]

    @property
    def verdicts(self) -> list[Verdict]:
        """Counted from the rows."""
        return judge(self.results, self.rows, self.reference, self.settings.performance.maximum_drop)


@dataclass(slots=True)
class Market:
    """The act: both models replayed over the same half hours, and told.

    Parameters
    ----------
    now_ms : before which all of it lies
    """

    settings: Settings
    now_ms: int
    tell: Teller
    checks: Checks
    figures: dict[str, Any] = field(default_factory=dict)

    def run(self, market: HalfHours, bundles: Mapping[str, Bundle], folder: Path) -> None:
        """Replay, check, tell."""
        _, _, later = split(market)
        tree = self._replay(bundles[TREE], later, folder)
        self.judge_tree(tree, later)
        self.judge_previous(self._replay(bundles[PREVIOUS], Decisions.of(market), folder))

    def judge_tree(self, tree: Watched, later: HalfHours) -> None:
        """What the topics say of the tree, held against its rows."""
        self.figures |= self._judge(TREE, tree)
        self._detected(tree)
        self._moved(tree, later)
        tell_tree(self.tell, tree.results, tree.verdicts, self.figures, start_ms=int(tree.rows.time_ms[0]))

    def judge_previous(self, previous: Watched) -> None:
        """Likewise of the decision that is made elsewhere."""
        figures = self.figures["previous"] = self._judge(PREVIOUS, previous)
        self.checks.expect(
            f"{PREVIOUS}: accuracy over all half hours is {KNOWN_ACCURACY}",
            abs(figures["accuracy"] - KNOWN_ACCURACY) <= TO,
            f"{figures['accuracy']:.4f}",
        )
        self.tell.say(
            f"[bold]{PREVIOUS}[/]: all {figures['rows']:,} half hours that have one before them. It passes "
            "one column through, so a decision made elsewhere is watched as a model is: accuracy "
            f"[bold]{figures['accuracy']:.3f}[/], from {figures['least']:.3f} to {figures['most']:.3f} by "
            f"window; {len(figures['alerts'])} alerts on accuracy."
        )

    def _replay(self, bundle: Bundle, stream: Stream, folder: Path) -> Watched:
        labels = stream.labels
        window_ms = monitor_settings(bundle.manifest.monitors).performance.window_ms
        start_ms = (self.now_ms - len(labels) * _STEP_MS) // window_ms * window_ms
        table = folder / "half-hours.csv"
        stream.write_csv(table)
        options = Options(target=TARGET, label_delay_ms=_STEP_MS, interval_ms=_STEP_MS, start_ms=start_ms)
        replayed, predictions = replay_answered(self.settings, bundle.name, table, options, self.tell)
        rows = answered(start_ms, labels, replayed.outcome.replay, predictions)
        return Watched(replayed, rows, right_on_reference(bundle))

    def _judge(self, model: str, watched: Watched) -> dict[str, Any]:
        """What holds of either model; the figures."""
        expect, outcome, history = self.checks.expect, watched.replayed.outcome, watched.replayed.history
        trouble = watched.replayed.trouble
        expect(f"{model}: all half hours are answered and watched", not trouble, trouble)
        told_last, verdicts = history.latest(PERFORMANCE.name), watched.verdicts
        compared = [
            figure
            for result in told_last
            for figure in compare(result, watched.rows.of(result), watched.reference)
        ]
        compared += compare_evidence(history.alerts(status="firing", monitor="performance"), verdicts)
        others = differing(compared)
        counted = sum(result["labelled"] for result in told_last)
        right, answers = watched.rows.right
        expect(
            f"{model}: performance of every window is that of its rows, to 1e-9",
            not others and counted == answers > 0,
            f"{counted} of {answers} rows; {len(others)} figures differ: {'; '.join(others[:3])}",
        )
        early = [one["window"]["start"] for one in watched.results if one["provisional"]]
        expect(f"{model}: every window that is over is judged", bool(verdicts) and not early, f"not {early}")
        expected = episodes(verdicts, watched.settings.performance)
        ended = findings.endings(history)
        told = [Episode(one.since, one.until) for one in ended if one[:2] == ACCURACY]
        expect(
            f"{model}: alerts on accuracy are those that follow from the rows",
            told == expected,
            f"{told}, expected {expected}",
        )
        accuracies = [result["metrics"]["accuracy"] for result in watched.results]
        return {
            **{name: getattr(outcome, name) for name in ("rows", "answered", "abstained")},
            "accuracy": right / answers if answers else float("nan"),
            "reference": watched.reference[0] / watched.reference[1],
            "least": min(accuracies, default=float("nan")),
            "most": max(accuracies, default=float("nan")),
            "counted_again": len(compared),
            "windows": [verdict._asdict() for verdict in verdicts],
            "alerts": [episode._asdict() for episode in told],
            "other_alerts": [one._asdict() for one in ended if one[:2] != ACCURACY],
        }

    def _detected(self, tree: Watched) -> None:
        """Detectors are fed what can change no more, which is all of the windows that are over."""
        results = tree.results
        counted = detections(tree.rows.before(max((ends_ms(one) for one in results), default=0)))
        wrong = differing_detections(results, counted)
        found = {name: published(results, name) for name in DETECTORS}
        self.checks.expect(
            "DDM and ADWIN have found what river finds, fed one error after the other",
            not wrong and all(found.values()),
            "; ".join(wrong[:3]) or "nothing is found",
        )
        window_ms = tree.settings.performance.window_ms
        beside = {
            name: detection
            for name, several in found.items()
            if (detection := _beside(several, self.figures["alerts"], window_ms)) is not None
        }
        self.checks.expect(
            "an alert on accuracy fires, and both say since when before its first window is over",
            set(beside) == set(DETECTORS),
            f"{self.figures['alerts']}, {beside}",
        )
        self.figures["detections"] = {name: len(several) for name, several in found.items()}
        self.figures["beside"] = beside

    def _moved(self, tree: Watched, later: HalfHours) -> None:
        """Drift of the inputs: the neighbour's columns come alive, the others move with the seasons."""
        history = tree.replayed.history
        hits = {
            name: [record["window"] for record in history.latest(DRIFT.name) if _hit(record, name)]
            for name in FEATURES
        }
        alive = {name: _alive_ms(tree.rows.time_ms, later, name) for name in NEIGHBOUR}
        late = {
            name: hits[name][:1]
            for name, time_ms in alive.items()
            if not hits[name]
            or not parse_time(hits[name][0]["start"]) <= time_ms < parse_time(hits[name][0]["end"])
        }
        self.checks.expect(
            f"{', '.join(NEIGHBOUR)} are hits from the window on in which they come alive",
            not late,
            f"{late}, alive {alive}",
        )
        fired = [one for one in history.alerts(status="firing", monitor="drift") if one["subject"] == INPUTS]
        self.checks.expect("an alert on drift of the inputs fires", bool(fired), "none")
        self.figures["drift"] = {
            "windows": len(history.latest(DRIFT.name)),
            "hits": {name: len(several) for name, several in hits.items()},
            "first": {name: several[0]["start"] for name, several in hits.items() if several},
            "since": [one["since"] for one in fired],
        }


def answered(start_ms: int, labels: IntArray, replay: str, predictions: Predictions) -> Answered:
    """Rows in order, with what their predictions say; those without one count as refused."""
    said = outputs_by_row(replay, predictions, "label")
    refused = outputs_by_row(replay, predictions, ABSTAINED)
    rows = range(len(labels))
    return Answered(
        time_ms=start_ms + np.arange(len(labels)) * _STEP_MS,
        said=np.array([said.get(row, -1) for row in rows], np.int64),
        truth=labels,
        abstained=np.array([refused.get(row, True) for row in rows], np.bool_),
    )


def right_on_reference(bundle: Bundle) -> tuple[int, int]:
    """Right answers of those on the reference rows that are not refused, and how many these are."""
    reference = bundle.reference
    kept = ~reference.abstained
    said, truth = reference.answers.predicted, reference.answers.labels
    if said is None or truth is None:
        return 0, 0
    right = (said == truth)[kept]
    return int(right.sum()), len(right)


def _hit(record: Record, name: str) -> bool:
    return any(column["hit"] for column in record["columns"] if column["column"] == name)


def _alive_ms(time_ms: IntArray, later: HalfHours, name: str) -> int:
    """When a column first has another value than at the start; before all time where it never has."""
    column = later.features[:, FEATURES.index(name)]
    changed = np.flatnonzero(column != column[0])
    return int(time_ms[changed[0]]) if len(changed) else -1


def _beside(found: Sequence[Record], alerts: Sequence[Mapping[str, Any]], window_ms: int) -> Record | None:
    """The first detection in the first window of the first alert, or in the one before."""
    if not alerts:
        return None
    since_ms = parse_time(alerts[0]["since"])
    near = [one for one in found if -1 <= (parse_time(one["at"]) - since_ms) / window_ms < 1]
    within = [one for one in near if parse_time(one["at"]) >= since_ms]
    return next(iter(within or near[-1:]), None)
