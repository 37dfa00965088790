"""Days of panels replayed and watched: a change of laboratory, an unfair time, and the truth a day late."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape

from atalaia.alerts import rfc3339
from atalaia.demo import findings
from atalaia.demo.checks import Checks
from atalaia.demo.findings import BY_SEX
from atalaia.demo.plan import DAY_MS, DAYS, Plan
from atalaia.demo.replaying import Replayed, replay
from atalaia.demo.telling import Teller
from atalaia.monitors.configuration import monitor_settings
from atalaia.replay.report.words import moment, number, share
from atalaia.replay.run import Options
from atalaia.settings import Settings
from atalaia.topics import FAIRNESS, PERFORMANCE

MODEL, TARGET = "bmp", "sample"
INSTRUMENT = ("chloride", "sodium", "potassium_plas", "co2_totl")
"""What the new laboratory's instrument reads otherwise; the alert has to name all of them."""


@dataclass(slots=True)
class Watching:
    """The act: replay, then tell what the topics of results hold, each claim checked.

    Parameters
    ----------
    day_seconds : of ours, for each of the stream's days
    """

    settings: Settings
    plan: Plan
    tell: Teller
    checks: Checks
    day_seconds: float
    figures: dict[str, Any] = field(default_factory=dict)

    def replay(self, folder: Path) -> Replayed:
        """Draw the panels and send them through Kafka."""
        plan = self.plan
        stream = plan.stream(self.settings.data_dir)
        table = folder / "panels.csv"
        stream.write_csv(table)
        options = Options(
            target=TARGET,
            label_delay_ms=DAY_MS,
            interval_ms=plan.interval_ms,
            start_ms=plan.start_ms,
            speed=DAY_MS / 1000 / self.day_seconds,
        )
        replayed = replay(self.settings, MODEL, table, options, self.tell)
        table.unlink()
        outcome = replayed.outcome
        self.figures["replay"] = {
            "rows": outcome.rows,
            "answered": outcome.answered,
            "abstained": outcome.abstained,
            "seconds": round(outcome.seconds, 1),
        }
        self.checks.expect(
            f"all {plan.rows} panels are answered and watched", not replayed.trouble, replayed.trouble
        )
        self.tell.say(
            f"[bold]{outcome.rows:,} panels[/] of {DAYS} days, one every {plan.interval_ms / 1000:g} s of "
            f"their own time, sent through Kafka in {outcome.seconds:.0f} s; whether a sample was "
            f"contaminated is known a day later. {stream.source[0].upper()}{stream.source[1:]}."
        )
        days = [
            (_days(phase.start_ms, phase.end_ms), phase.name, f"{phase.days * plan.rows // DAYS:,} panels")
            for phase in plan.phases
        ]
        self.tell.table([], days)
        return replayed

    def tell_calm(self, replayed: Replayed) -> None:
        """Nothing fires while nothing changes."""
        calm = findings.calm(replayed.history, self.plan)
        fired = [f"{event['monitor']} {event['subject']}" for event in calm.fired]
        self.checks.expect(
            "windows of the stationary days were judged", all(calm.windows.values()), f"{calm.windows}"
        )
        self.checks.expect("nothing fires while nothing changes", not fired, ", ".join(fired) or "none")
        self.figures["stationary"] = {"windows": calm.windows, "fired": len(fired)}
        counts = calm.windows
        self.tell.say(
            f"{counts['drift']} windows judged for drift, {counts['performance']} for performance, "
            f"{counts['fairness']} for fairness: [bold]{len(fired)} alerts[/]."
        )

    def tell_truth(self, replayed: Replayed) -> None:
        """Performance and fairness appear as labels come; what was said before is revised."""
        told = {}
        for topic in (PERFORMANCE.name, FAIRNESS.name):
            revisions = findings.revised(replayed.history, topic)
            told[topic] = revisions
            self.checks.expect(
                f"a window's {topic} is provisional before its truth has come, and revised after",
                len(revisions) > 1,
                "no window is",
            )
        revisions = told[PERFORMANCE.name]
        self.figures["truth"] = {
            topic: [
                {name: one[name] for name in ("revision", "provisional", "n", "labelled")} for one in several
            ]
            for topic, several in told.items()
        }
        if not revisions:
            return
        window = revisions[0]["window"]
        self.tell.say(f"Performance of the day from {moment(window['start'])}, each time it was told:")
        rows = [
            (
                str(one["revision"]),
                f"{one['labelled']:,} of {one['n']:,}",
                share(one["labelled"] / one["n"]),
                number(one["metrics"]["accuracy"]),
                number(one["metrics"]["recall"]),
                number(one["metrics"]["precision"]),
                "provisional" if one["provisional"] else "judged",
            )
            for one in findings.distinct(revisions)
        ]
        self.tell.table(["revision", "labelled", "coverage", "accuracy", "recall", "precision", ""], rows)

    def tell_drift(self, replayed: Replayed) -> None:
        """The change of laboratory."""
        change = findings.change_of_laboratory(replayed.history, self.plan)
        named = [] if change is None else [moved.column for moved in change.columns]
        self.checks.expect(
            f"the change of laboratory fires an alert that names {', '.join(INSTRUMENT)}",
            set(INSTRUMENT) <= set(named),
            ", ".join(named) or "no alert",
        )
        if change is None:
            return
        self.figures["drift"] = {
            "since": change.since,
            "decided": change.decided,
            "effects": {moved.column: moved.effect for moved in change.columns},
        }
        self.tell.say(
            f"An alert on drift [bold]since {moment(change.since)}[/], decided at {moment(change.decided)}. "
            "Columns that were hits twice:"
        )
        rows = [
            (moved.column, number(moved.effect), f"{moved.p_adjusted:.0e}", moved.grew, moved.shrank)
            for moved in change.columns
        ]
        self.tell.table(["column", "effect D", "adjusted p", "grew", "shrank"], rows)

    def tell_fairness(self, replayed: Replayed) -> None:
        """The time when one sex's samples are contaminated more often."""
        unfair = findings.unfairness(replayed.history, self.plan)
        below = monitor_settings(replayed.manifest.monitors).fairness.ratio
        self.checks.expect(
            f"an alert on {BY_SEX} fires, whose interval ends below {below}",
            unfair is not None and unfair.high < below,
            f"{unfair}",
        )
        if unfair is None:
            return
        names = ("value", "low", "high", "between", "since")
        self.figures["fairness"] = {name: getattr(unfair, name) for name in names}
        one, other = unfair.between
        self.tell.say(
            f"An alert on fairness [bold]since {moment(unfair.since)}[/]: {one} are flagged "
            f"[bold]{number(unfair.value)}[/] times as often as {other} (interval {number(unfair.low)} to "
            f"{number(unfair.high)}; below {below} it fires). The prevalence beside it says why: it is the "
            "samples that differ, not what the model makes of them."
        )
        rows = [
            (
                group["group"]["sex"],
                f"{group['labelled']:,}",
                share(group["flag_rate"]),
                share(group["prevalence"]),
                number(group["tpr"]),
            )
            for group in unfair.groups
        ]
        self.tell.table(["sex", "panels", "flagged", "contaminated", "found of those"], rows)

    def tell_endings(self, replayed: Replayed) -> None:
        """Every alert, and that it is over."""
        ended = findings.endings(replayed.history)
        still = [f"{one.monitor} {one.subject}" for one in ended if one.until is None]
        self.checks.expect(
            "all alerts are resolved once all is as before", bool(ended) and not still, ", ".join(still)
        )
        self.figures["alerts"] = [one._asdict() for one in ended]
        rows = [
            (one.monitor, escape(one.subject), moment(one.since), moment(one.until) if one.until else "fires")
            for one in ended
        ]
        self.tell.table(["alert", "on", "since", "until"], rows)


def _days(start_ms: int, end_ms: int) -> str:
    first, last = (rfc3339(time_ms)[:10] for time_ms in (start_ms, end_ms - 1))
    return first if first == last else f"{first} to {last}"
