"""What the benchmarks must reach, and whether figures do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Limit:
    """One figure of a bench's answer and the least or most it may be.

    Parameters
    ----------
    name : of the figure, for people
    path : where it lies in the answer, members joined by dots
    """

    name: str
    path: str
    kind: Literal["at least", "at most"]
    value: float
    unit: str = ""

    def figure(self, answer: Mapping[str, Any]) -> float | None:
        """The figure; None where this run could not measure it."""
        found: Any = answer
        for member in self.path.split("."):
            found = found.get(member) if isinstance(found, Mapping) else None
        return None if found is None else float(found)

    def met(self, figure: float) -> bool:
        """Whether it is within the limit.

        >>> Limit("median", "p50", "at most", 2.0, "ms").met(2.5)
        False
        """
        return figure >= self.value if self.kind == "at least" else figure <= self.value


LIMITS: Mapping[str, tuple[Limit, ...]] = {
    "scorer": (
        Limit("rows per CPU second, of a bare consume-produce", "ratio", "at least", 0.40),
        Limit(
            "rows a second, 256 a request",
            "beside.ours_256_rows_a_request_per_second",
            "at least",
            300_000,
            "rows/s",
        ),
    ),
    "gateway": (
        Limit("p50 at 1 connection", "beside.ours_p50_ms_at_1", "at most", 2.0, "ms"),
        Limit("requests a second at 64 connections, of MLServer's", "ratio", "at least", 1.5),
    ),
    "grpc": (Limit("calls a second, 64 on one connection, of 64 over HTTP", "ratio", "at least", 1.3),),
    "kept": (
        Limit("asynchronous requests a second, of a route that does nothing", "ratio", "at least", 0.5),
        Limit("requests with a key, of those without", "beside.keyed_ratio", "at least", 0.7),
    ),
    "swap": (
        Limit("what a swap adds to the slowest request, median", "ours", "at most", 20, "ms"),
        Limit("requests that failed", "beside.failed_requests", "at most", 0),
    ),
    "replay": (Limit("rows a second, of a scorer's that finds them", "ratio", "at least", 0.6),),
    "scale": (Limit("CPU time a request of two processes each, of one each", "cpu_ratio", "at most", 1.5),),
    "memory": (
        Limit("gateway after 1 M rows", "beside.gateway_mb", "at most", 150, "MB"),
        Limit("scorer after 1 M rows", "beside.scorer_mb", "at most", 150, "MB"),
        Limit("gateway's growth from then on", "beside.gateway_growth_mb", "at most", 5, "MB/M rows"),
        Limit("scorer's growth from then on", "beside.scorer_growth_mb", "at most", 5, "MB/M rows"),
        Limit("drift, thousands of windows", "beside.drift_peak_mb", "at most", 350, "MB"),
        Limit("fairness, thousands of windows", "beside.fairness_peak_mb", "at most", 350, "MB"),
        Limit("drift's last quarter above its second", "beside.drift_grown_mb", "at most", 10, "MB"),
        Limit("fairness' last quarter above its second", "beside.fairness_grown_mb", "at most", 10, "MB"),
    ),
    "drift": (
        Limit(
            "rows a second, 2,000 a message",
            "beside.rows_per_second_of_2000_a_message",
            "at least",
            250_000,
            "rows/s",
        ),
        Limit("rows a CPU second, of river's over 10,000", "beside.of_river_over_10000", "at least", 500),
        Limit("rows a CPU second, of whylogs'", "ratio", "at least", 2.0),
    ),
    "join": (
        Limit("joined rows a second", "ours", "at least", 60_000, "rows/s"),
        Limit("held in Redis", "beside.bytes_a_row_held", "at most", 64, "bytes a row"),
    ),
    "platform": (
        Limit("lag of drift, 19 of 20 looks", "beside.drift_lag_p95_seconds", "at most", 2.0, "s"),
        Limit("lag of fairness, 19 of 20 looks", "beside.fairness_lag_p95_seconds", "at most", 2.0, "s"),
        Limit("CPU time of drift and fairness, of the scorer's", "ratio", "at most", 1.0),
    ),
    "failover": (
        Limit("replies again, one scorer killed", "beside.killed_replies_seconds", "at most", 10, "s"),
        Limit("replies again, one scorer stopped", "beside.stopped_replies_seconds", "at most", 1, "s"),
        Limit(
            "replies again, one of two killed and restarted",
            "beside.restarted_replies_seconds",
            "at most",
            5,
            "s",
        ),
        Limit("replies again, the only one restarted", "beside.alone_replies_seconds", "at most", 5, "s"),
        Limit("committed again, one scorer killed", "beside.killed_committed_seconds", "at most", 15, "s"),
        Limit("committed again, one scorer stopped", "beside.stopped_committed_seconds", "at most", 15, "s"),
    ),
}
"""By bench, as docs/benchmarks.md states them."""


def verdicts(answer: Mapping[str, Any], limits: Sequence[Limit]) -> list[dict[str, Any]]:
    """Each limit with its figure; ``met`` is null where the figure could not be measured."""
    figures = [(limit, limit.figure(answer)) for limit in limits]
    return [
        {
            "name": limit.name,
            "figure": figure,
            "reach": f"{limit.kind} {limit.value:,g} {limit.unit}".rstrip(),
            "unit": limit.unit,
            "met": None if figure is None else limit.met(figure),
        }
        for limit, figure in figures
    ]
