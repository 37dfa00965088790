"""When the drop of a rate against the held-out reference is worth waking somebody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from atalaia.statistics.intervals import newcombe

LEVEL = 0.999
MAXIMUM_DROP = 0.05
MINIMUM_ROWS = 100
HITS, OF_WINDOWS = 2, 3
"""An alert fires when this many of the last windows that judge are hits, the latest being one."""

BIASED = frozenset({"accuracy", "recall", "specificity", "negative_predictive_value"})
"""Rates that uneven label coverage distorts; precision is of one predicted class, whose labels it has."""

Rates = Mapping[str, tuple[int, int]]
"""Successes and trials by name."""


@dataclass(frozen=True, slots=True)
class Drop:
    """How far a rate fell below the held-out reference's, with its Newcombe interval at 99.9 %.

    ``judged`` is False where the rule does not apply, with the ``reason``.
    """

    metric: str
    value: float | None
    reference: float | None
    drop: float | None
    low: float | None
    high: float | None
    judged: bool
    hit: bool
    reason: str | None = None


def judge(
    rates: Rates,
    reference: Rates,
    *,
    metrics: Sequence[str] = ("accuracy",),
    uneven: bool = False,
    minimum_rows: int = MINIMUM_ROWS,
    maximum_drop: float = MAXIMUM_DROP,
) -> list[Drop]:
    """Of each named rate: a hit where the lower 99.9 % bound of its drop exceeds ``maximum_drop``.

    ``rates`` and ``reference`` are `atalaia.statistics.performance.Classification.rates` of the window and of
    the held-out rows. A rate over fewer than ``minimum_rows`` labelled rows does not judge, nor one in
    `BIASED` where labels cover the predicted classes unevenly.

    >>> drops = [judge({"accuracy": (hits, 400)}, {"accuracy": (360, 400)})[0] for hits in (360, 330, 280)]
    >>> [drop.hit for drop in drops]
    [False, False, True]
    """
    unknown = set(metrics) - rates.keys()
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: no rate to judge by; there are {', '.join(rates)}")
    return [
        _judge(
            metric,
            rates[metric],
            reference[metric],
            barred=_barred(rates[metric][1], uneven=uneven and metric in BIASED, minimum_rows=minimum_rows),
            maximum_drop=maximum_drop,
        )
        for metric in metrics
    ]


def persists(hits: Sequence[bool], *, needed: int = HITS, of_windows: int = OF_WINDOWS) -> bool:
    """Whether the latest of the disjoint windows that judged is a hit, and ``needed`` of the last ones are.

    >>> persists([True, False, True]), persists([True, True, False]), persists([True, False, False, True])
    (True, False, False)
    """
    return bool(hits) and hits[-1] and sum(hits[-of_windows:]) >= needed


def _judge(
    metric: str, now: tuple[int, int], then: tuple[int, int], *, barred: str | None, maximum_drop: float
) -> Drop:
    value = now[0] / now[1] if now[1] else None
    held_out = then[0] / then[1] if then[1] else None
    if value is None or held_out is None:
        reason = "no labelled rows" if value is None else "no labelled reference rows"
        return Drop(metric, value, held_out, None, None, None, judged=False, hit=False, reason=reason)
    low, high = (float(bound) for bound in newcombe(*then, *now, LEVEL))
    return Drop(
        metric=metric,
        value=value,
        reference=held_out,
        drop=held_out - value,
        low=low,
        high=high,
        judged=barred is None,
        hit=barred is None and low > maximum_drop,
        reason=barred,
    )


def _barred(rows: int, *, uneven: bool, minimum_rows: int) -> str | None:
    if rows < minimum_rows:
        return f"{rows} labelled rows, fewer than {minimum_rows}"
    return "labels cover the predicted classes unevenly" if uneven else None
