"""The wine experiments: rows the tree has not seen, stronger wines than it knows, and the thesis' replay."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from atalaia.bundles.folder import Bundle
from atalaia.demo import findings
from atalaia.demo.checks import Checks
from atalaia.demo.history import History, Record
from atalaia.demo.replaying import Replayed, outputs_by_row, replay_answered
from atalaia.demo.telling import Teller
from atalaia.replay.run import Options
from atalaia.settings import Settings
from atalaia.topics import DRIFT, PERFORMANCE
from recipes import wine_stream
from recipes.wine import FEATURES, Wines
from recipes.wine_stream import TARGET, WineRows

MODEL = "wine"
MEASUREMENTS = tuple(name for name, _ in FEATURES)
NAMED, SIGNIFICANT = 8, 0.05
"""Columns that the alert has to name at least; and below which a p-value counts as small."""
ANSWERED_WITHIN = 0.01
_WINDOW_MS, _APART_MS = 300_000, 3_600_000


class Experiment(NamedTuple):
    """Rows, how many windows they fill, and the figure of the bundle that their accuracy must be."""

    name: str
    title: str
    rows: WineRows
    windows: int
    figure: str

    @property
    def interval_ms(self) -> float:
        """Such that they fill them: where rows come in passes, each a window of its own."""
        return _WINDOW_MS * self.windows / len(self.rows)


class Answers(NamedTuple):
    """Accuracy over all rows, as their predictions say, and over answered ones, as the monitor says."""

    rows: int
    accuracy: float
    answered: int
    accuracy_answered: float


def experiments(wines: Wines) -> list[Experiment]:
    """Those of the thesis, the no-drift one first as it should be, on rows that are new to the tree."""
    return [
        Experiment(
            "no_drift",
            "298 held-out wines, four times in new order",
            wine_stream.no_drift(wines, passes=4),
            4,
            "accuracy_held_out_298",
        ),
        Experiment(
            "drift",
            "408 wines above 11 % alcohol, three times",
            wine_stream.drift(wines, passes=3),
            3,
            "accuracy_alcohol_above_11",
        ),
        Experiment(
            "thesis",
            "all 1191 up to 11 %, as the thesis replays them",
            wine_stream.replay_of_the_thesis(wines),
            4,
            "accuracy_all_1191",
        ),
    ]


@dataclass(slots=True)
class Tasting:
    """The act: each experiment replayed at a time of its own, and told.

    Parameters
    ----------
    start_ms : event time of the first
    """

    settings: Settings
    bundle: Bundle
    start_ms: int
    tell: Teller
    checks: Checks
    figures: dict[str, Any] = field(default_factory=dict)

    def run(self, wines: Wines, folder: Path) -> None:
        """All experiments, then one table."""
        done = []
        for place, experiment in enumerate(experiments(wines)):
            start_ms = self.start_ms + place * _APART_MS
            replayed, answers = self._replay(experiment, folder, start_ms)
            done.append((experiment, answers, self._judge(experiment, replayed, answers)))
        self._tell(done)

    def _replay(self, experiment: Experiment, folder: Path, start_ms: int) -> tuple[Replayed, Answers]:
        table = folder / "wines.csv"
        experiment.rows.write_csv(table)
        options = Options(target=TARGET, interval_ms=experiment.interval_ms, start_ms=start_ms)
        replayed, predictions = replay_answered(self.settings, MODEL, table, options, self.tell)
        labels = outputs_by_row(replayed.outcome.replay, predictions, "label")
        return replayed, answers_of(experiment.rows.quality.tolist(), labels, replayed.history)

    def _judge(self, experiment: Experiment, replayed: Replayed, answers: Answers) -> dict[str, Any]:
        expect, name = self.checks.expect, experiment.title
        known = round(float(self.bundle.manifest.made["figures"][experiment.figure]), 3)
        found = round(answers.accuracy, 3)
        expect(f"{name}: all rows are answered and watched", not replayed.trouble, replayed.trouble)
        expect(f"{name}: accuracy is {known}", found == known, f"{found}")
        expect(
            f"{name}: accuracy over the answered rows is within {ANSWERED_WITHIN} of it",
            abs(answers.accuracy_answered - known) <= ANSWERED_WITHIN,
            f"{answers.accuracy_answered:.3f}",
        )
        fired = replayed.history.alerts(status="firing")
        small = small_p_values(replayed.history)
        named = named_columns(fired)
        if experiment.name == "no_drift":
            expect(f"{name}: nothing fires", not fired, ", ".join(event["subject"] for event in fired))
        if experiment.name == "drift":
            few = [column for column in MEASUREMENTS if column not in small]
            expect(f"{name}: p < {SIGNIFICANT} in all columns over one pass", not few, f"not {few}")
            expect(f"{name}: an alert names {NAMED} columns", len(named) >= NAMED, f"{named}")
        figures = {
            **answers._asdict(),
            "known": known,
            "fired": sorted({f"{event['monitor']} {event['subject']}" for event in fired}),
            "small_p_values": len(small),
            "named": named,
        }
        self.figures[experiment.name] = figures
        return figures

    def _tell(self, done: Sequence[tuple[Experiment, Answers, dict[str, Any]]]) -> None:
        rows = [
            (
                experiment.title,
                f"{answers.rows:,}",
                f"{answers.accuracy:.3f}",
                f"{answers.accuracy_answered:.3f}",
                f"{figures['small_p_values']} of {len(MEASUREMENTS)}",
                f"{len(figures['fired'])}",
            )
            for experiment, answers, figures in done
        ]
        heads = ["replayed", "rows", "accuracy", "answered", f"p < {SIGNIFICANT}", "alerts"]
        self.tell.table(heads, rows)
        for experiment, _, figures in done:
            if figures["named"]:
                self.tell.say(
                    f"The alert on drift of the {experiment.title.partition(',')[0]} names "
                    f"[bold]{len(figures['named'])}[/]: {', '.join(figures['named'])}."
                )
        self.tell.say(
            "On three quarters of the thesis' rows the tree was trained, so their accuracy flatters it."
        )


def answers_of(truth: Sequence[int], labels: dict[int, Any], history: History) -> Answers:
    """How many answers are right: of all rows by their predictions, of answered ones by the monitor."""
    right = sum(labels.get(row) == mark for row, mark in enumerate(truth))
    matrices = [np.array(record["confusion_matrix"]) for record in history.latest(PERFORMANCE.name)]
    answered = sum(int(matrix.sum()) for matrix in matrices)
    hits = sum(int(matrix.trace()) for matrix in matrices)
    return Answers(len(truth), right / len(truth), answered, hits / answered if answered else float("nan"))


def small_p_values(history: History) -> list[str]:
    """Measurements whose raw p-value is small over the first window, which is one pass."""
    first = history.latest(DRIFT.name)[:1]
    return [
        column["column"]
        for record in first
        for column in record["columns"]
        if column["column"] in MEASUREMENTS and column["decides"] and _small(column)
    ]


def named_columns(fired: Iterable[Record]) -> list[str]:
    """Measurements that an alert on drift of the inputs names, in the order of the effect."""
    for event in fired:
        if event["monitor"] == "drift" and event["subject"] == findings.INPUTS:
            moved = findings.change(event).columns
            return [one.column for one in moved if one.column in MEASUREMENTS]
    return []


def _small(column: Record) -> bool:
    return column["p_value"] is not None and column["p_value"] < SIGNIFICANT
