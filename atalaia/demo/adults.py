"""Real people: who is said to earn more, by sex, age and race; every figure counted again from the rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape

from atalaia.demo import findings
from atalaia.demo.checks import Checks
from atalaia.demo.findings import BY_SEX
from atalaia.demo.history import History, Record, begins_ms
from atalaia.demo.plan import DAY_MS
from atalaia.demo.recounted import Decided, compare, differing
from atalaia.demo.replaying import Replayed, outputs_by_row, replay_answered
from atalaia.demo.telling import Teller
from atalaia.inference.responses import ABSTAINED
from atalaia.monitors.configuration import FairnessSettings, monitor_settings
from atalaia.replay.report.words import NOTHING, interval, number
from atalaia.replay.run import Options
from atalaia.settings import Settings
from atalaia.statistics.groups import Attribute
from atalaia.topics import FAIRNESS
from recipes.adult import AGE_BANDS, HIGH, TARGET, People

MODEL = "adult"
DAYS = 2
"""An alert on fairness takes two windows, of a day each, in a row."""
_RATES = {"flag_rate": "flagged, %", "prevalence": "earn >50K, %", "tpr": "found (TPR), %"}


@dataclass(slots=True)
class Census:
    """The act: held-out people replayed as days, and told.

    Parameters
    ----------
    start_ms : event time of the first, at which a day begins
    day_seconds : of ours, for each of the days
    """

    settings: Settings
    start_ms: int
    day_seconds: float
    tell: Teller
    checks: Checks
    figures: dict[str, Any] = field(default_factory=dict)

    def run(self, people: People, folder: Path) -> None:
        """Replay, check, tell."""
        table = folder / "people.csv"
        people.write_csv(table)
        interval_ms = DAYS * DAY_MS / len(people)
        options = Options(
            target=TARGET,
            label_delay_ms=DAY_MS,
            interval_ms=interval_ms,
            start_ms=self.start_ms,
            speed=DAY_MS / 1000 / self.day_seconds,
        )
        replayed, predictions = replay_answered(self.settings, MODEL, table, options, self.tell)
        name = replayed.outcome.replay
        labels, abstained = (outputs_by_row(name, predictions, output) for output in ("label", ABSTAINED))
        rows = decided(people, labels, abstained)
        days = np.rint(np.arange(len(people)) * interval_ms).astype(np.int64) // DAY_MS
        self.judge(replayed, [rows.take(days == day) for day in range(DAYS)])

    def judge(self, replayed: Replayed, days: Sequence[Decided]) -> None:
        """What the topics say of the days, held against their rows."""
        expect, outcome, history = self.checks.expect, replayed.outcome, replayed.history
        expect(f"all {outcome.rows} people are answered and watched", not replayed.trouble, replayed.trouble)
        results = history.latest(FAIRNESS.name)
        whole = [result["labelled"] == result["n"] and not result["provisional"] for result in results]
        expect(
            "fairness is told before its truth has come, and again once all of it has",
            bool(findings.revised(history, FAIRNESS.name)) and whole == [True] * len(days),
            f"{whole}",
        )
        self.figures |= {name: getattr(outcome, name) for name in ("rows", "answered", "abstained")}
        self._count_again(results, days)
        self._follow(results, history)
        settings = monitor_settings(replayed.manifest.monitors).fairness
        self._by_sex(results, settings.ratio)
        if results:
            self._tell(results[-1], settings)

    def _count_again(self, results: Sequence[Record], days: Sequence[Decided]) -> None:
        figures = [
            figure
            for result in results
            for figure in compare(result, days[(begins_ms(result) - self.start_ms) // DAY_MS])
        ]
        others = differing(figures)
        self.checks.expect(
            "all figures of fairness are those of the rows, to 1e-9",
            bool(figures) and not others,
            f"{len(others)} of {len(figures)} differ: {'; '.join(others[:3])}",
        )
        self.figures["counted_again"] = len(figures)

    def _follow(self, results: Sequence[Record], history: History) -> None:
        """An alert is what is a hit in every window."""
        hits = [{subject for subject, gap in judged(result).items() if gap["hit"]} for result in results]
        always = set.intersection(*hits) if hits else set()
        events = history.alerts(status="firing")
        fired = {event["subject"] for event in events if event["monitor"] == "fairness"}
        rest = sorted(event["subject"] for event in events if event["monitor"] != "fairness")
        expect = self.checks.expect
        expect("alerts are on what is a hit on both days", fired == always, f"{fired}, hits {always}")
        expect("nothing else fires", not rest, ", ".join(rest))
        self.figures |= {"alerts": sorted(fired), "hit_once": sorted(set().union(*hits) - always)}

    def _by_sex(self, results: Sequence[Record], below: float) -> None:
        """Women and men are flagged at rates of their own, and their base rates differ as well."""
        gaps = [gap for result in results if (gap := judged(result).get(BY_SEX))]
        self.checks.expect(
            f"an alert on {BY_SEX} fires, whose interval ends below {below} on both days",
            BY_SEX in self.figures["alerts"]
            and len(gaps) == DAYS
            and all(gap["high"] < below for gap in gaps),
            f"{gaps}",
        )
        prevalence = {
            group["group"]["sex"]: group["intervals"]["prevalence"]
            for result in results[-1:]
            for group in result["groups"]
            if list(group["group"]) == ["sex"]
        }
        bounds = [known for known in prevalence.values() if known]
        apart = len(bounds) > 1 and max(low for low, _ in bounds) > min(high for _, high in bounds)
        self.checks.expect("the base rates of the sexes differ, too", apart, f"{prevalence}")
        names = ("value", "low", "high", "between")
        self.figures |= {
            "by_sex": [{name: gap[name] for name in names} for gap in gaps],
            "prevalence": prevalence,
        }

    def _tell(self, result: Record, settings: FairnessSettings) -> None:
        """The last day: its groups, its gaps, and what follows from both days."""
        figures, tell = self.figures, self.tell
        tell.say(
            f"[bold]{figures['rows']:,} people[/] of the census of 1994 that were not trained on, as {DAYS} "
            "days; what they earn is known a day later. The model sees neither sex, nor age, nor race. Of "
            "the second day, with 95 % intervals:"
        )
        rows = [
            (escape(_name(group)), f"{group['labelled']:,}", *(_percent(group, rate) for rate in _RATES))
            for group in result["groups"]
            if len(group["group"]) == 1
        ]
        tell.table(["", "people", *_RATES.values()], rows)
        rows = [
            (
                gap["attribute"],
                gap["metric"],
                escape(" / ".join(gap["between"])),
                number(gap["value"]),
                interval((gap["low"], gap["high"])),
                _verdict(subject, figures),
            )
            for subject, gap in judged(result).items()
            if subject in figures["alerts"] or "&" not in subject
        ]
        tell.table(["by", "gap", "between", "value", "low to high", ""], rows)
        tell.say(
            "An alert takes a hit on both days, each pair's interval wide enough to err once in a thousand "
            f"among all: a ratio's below {settings.ratio}, or a difference's above {settings.difference}. "
            "The base rates differ as well: that groups are flagged at other rates is not unfairness by "
            "itself. TPR compares those who do earn as much."
        )
        tell.say(
            f"[bold]{figures['counted_again']:,} figures[/] of groups, intersections and gaps were counted "
            "again from the rows and their predictions, with scikit-learn and SciPy."
        )


def decided(people: People, labels: dict[int, Any], abstained: dict[int, bool]) -> Decided:
    """People in order, with what their predictions say; those without one count as abstained on."""
    bands = np.array(Attribute("age", bands=AGE_BANDS).labels, np.object_)
    rows = range(len(people))
    return Decided(
        {
            "sex": people.columns["sex"],
            "age": bands[np.digitize(people.numbers("age"), AGE_BANDS)],
            "race": people.columns["race"],
        },
        flagged=np.array([labels.get(row) == HIGH for row in rows]),
        truth=people.rich,
        abstained=np.array([abstained.get(row, True) for row in rows]),
    )


def judged(result: Record) -> dict[str, Record]:
    """By subject, the gap that decides: a hit where there is one, else the surest, which comes last."""
    found: dict[str, Record] = {}
    for gap in result["gaps"]:
        subject = f"{gap['metric']} by {gap['attribute']}"
        if gap["judged"] and not found.get(subject, {}).get("hit"):
            found[subject] = gap
    return found


def _name(group: Record) -> str:
    ((attribute, value),) = group["group"].items()
    return f"age {value}" if attribute == "age" else str(value)


def _percent(group: Record, rate: str) -> str:
    """A rate and its interval, two or three digits each."""
    if group[rate] is None:
        return NOTHING
    percents = [100 * share for share in (group[rate], *group["intervals"][rate])]
    value, low, high = (f"{percent:.{1 if percent < 10 else 0}f}" for percent in percents)
    return f"{value} ({low} to {high})"


def _verdict(subject: str, figures: dict[str, Any]) -> str:
    if subject in figures["alerts"]:
        return "alert"
    return "one hit" if subject in figures["hit_once"] else ""
