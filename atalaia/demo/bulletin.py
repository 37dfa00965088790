"""What the act on electricity puts on the screen, in days of the data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atalaia.demo.accuracy import Episode, Verdict, published
from atalaia.demo.history import Record
from atalaia.demo.plan import DAY_MS
from atalaia.demo.telling import Teller
from atalaia.inference.columns import parse_time
from atalaia.replay.report.words import NOTHING
from recipes.electricity import DETECTORS, FEATURES, KNOWN_DAYS


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days of the data, counted from 1; the replay begins with the first that the tree does not know.

    >>> Calendar(start_ms=0).day("1970-01-02T12:00:00.000Z")
    182
    """

    start_ms: int

    def day(self, time: str) -> int:
        """The day that a time lies in."""
        return KNOWN_DAYS + 1 + (parse_time(time) - self.start_ms) // DAY_MS


def tell_tree(
    tell: Teller,
    results: Sequence[Record],
    verdicts: Sequence[Verdict],
    figures: dict[str, Any],
    *,
    start_ms: int,
) -> None:
    """How accurate the tree was, when an alert said so, and what its inputs did.

    Parameters
    ----------
    results, verdicts : of performance, window by window
    figures : as the act has found them
    """
    calendar = Calendar(start_ms)
    tell.say(
        f"[bold]{figures['rows']:,} half hours[/] after the {KNOWN_DAYS} days that the tree knows; what the "
        f"price did is known one later. Accuracy is {figures['reference']:.3f} on the reference; of every "
        "window, with its drop, and how many changes DDM and ADWIN found in it:"
    )
    alerts = [Episode(**alert) for alert in figures["alerts"]]
    rows = [
        (
            f"{calendar.day(verdict.start)} to {calendar.day(verdict.end) - 1}",
            f"{result['metrics']['accuracy']:.3f}",
            f"{verdict.drop:.3f} ({verdict.low:.3f} to {verdict.high:.3f})",
            *(str(len(published([result], name))) for name in DETECTORS),
            ", ".join(_words(verdict, alerts)),
        )
        for result, verdict in zip(results, verdicts, strict=True)
    ]
    tell.table(["days", "accuracy", "below by (99.9 %)", "DDM", "ADWIN", ""], rows)
    for alert in alerts[:1]:
        _tell_alert(tell, calendar, alert, figures)
    _tell_inputs(tell, calendar, figures)


def _tell_alert(tell: Teller, calendar: Calendar, alert: Episode, figures: dict[str, Any]) -> None:
    end = "it still fires" if alert.until is None else f"over on day {calendar.day(alert.until)}"
    beside = ", ".join(
        f"{name.upper()} since day {calendar.day(one['since'])}, seen on day {calendar.day(one['at'])}"
        for name, one in figures["beside"].items()
    )
    found = figures["detections"]
    tell.say(
        f"An alert on accuracy [bold]since day {calendar.day(alert.since)}[/], {end}. Beside it: {beside}. "
        f"They found {found['ddm']} and {found['adwin']} changes in all, as wrong answers come in runs here: "
        "they say since when, and alert by themselves only where told to."
    )


def _tell_inputs(tell: Teller, calendar: Calendar, figures: dict[str, Any]) -> None:
    drift = figures["drift"]
    rows = [
        (
            name,
            f"{drift['hits'][name]} of {drift['windows']}",
            str(calendar.day(drift["first"][name])) if name in drift["first"] else NOTHING,
        )
        for name in FEATURES
    ]
    tell.table(["input", "hits, by 14 days", "first from day"], rows)
    tell.say(
        "Price and demand are others than in the reference from the first day on, long before accuracy "
        "falls: drift of inputs does not say when a rule ceases to hold. The last three are one value each "
        "in all that the tree was made of, so it does not use them, nor does applicability: "
        f"{figures['abstained']} half hours are refused for the price and demand they have. Accuracy is of "
        "the answered ones."
    )


def _words(verdict: Verdict, alerts: Sequence[Episode]) -> list[str]:
    """What a window means for the alert on accuracy."""
    words = ["hit"] if verdict.hit else []
    words += ["the alert's first" for alert in alerts if alert.since == verdict.start]
    words += ["the alert is over" for alert in alerts if alert.until == verdict.end]
    return words
