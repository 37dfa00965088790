"""What a worker measures: names are ``atalaia_<service>_<what>_<unit>``."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from atalaia.worker.units import Labels, Place, Report

_LABELS = ("model", "version", "role")
_PLACE = ("topic", "partition")
_TOTALS = {
    "steps": "Steps that moved a fence",
    "messages": "Messages taken",
    "dropped": "Messages that came once more and were left out",
    "gaps": "Times that the log itself did not follow on",
    "rebuilds": "States made anew",
    "lost": "Messages that expired before they were read",
    "oversized": "Results too large for their topic, which became dead letters",
}


class WorkerMetrics(Collector):
    """Shows a report on every scrape.

    Parameters
    ----------
    report : what stands now, safe to read from the thread that answers
    lags, pending : positions yet to be taken, and messages not yet acknowledged by Kafka
    """

    def __init__(
        self,
        service: str,
        registry: CollectorRegistry,
        *,
        report: Callable[[], Report],
        lags: Callable[[], Mapping[Place, int]],
        pending: Callable[[], int],
    ) -> None:
        self._prefix = f"atalaia_{service}_"
        self._report = report
        self._lags = lags
        self._pending = pending
        self.step_seconds = Histogram(
            f"{self._prefix}step_seconds",
            "One step: what a batch changes, computed and stored",
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        registry.register(self)

    def describe(self) -> list[Metric]:
        """Nothing is known before the first report."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics as they stand."""
        report = self._report()
        for name, text in _TOTALS.items():
            unit = "" if name in {"steps", "messages", "rebuilds", "gaps", "oversized"} else "_messages"
            value = report.totals.get(name, 0)
            yield CounterMetricFamily(f"{self._prefix}{name}{unit}", text, value=value)
        yield self._places("position_offset", "Next offset of each input partition", report.positions)
        yield self._places("lag_offsets", "Offsets between position and end, markers included", self._lags())
        yield GaugeMetricFamily(
            f"{self._prefix}outbox_pending_messages", "Published, not yet acknowledged", self._pending()
        )
        yield GaugeMetricFamily(
            f"{self._prefix}partitions", "Partitions owned", len({at for _, at in report.positions})
        )
        for name, counts in report.monitors.items():
            yield self._counts(name, counts)

    def _places(self, name: str, text: str, values: Mapping[Place, int]) -> Metric:
        family = GaugeMetricFamily(self._prefix + name, text, labels=_PLACE)
        for (topic, partition), value in values.items():
            family.add_metric((topic.name, str(partition)), value)
        return family

    def _counts(self, name: str, counts: Mapping[Labels, float]) -> Metric:
        family = CounterMetricFamily(f"{self._prefix}{name}", "Counted by the monitors", labels=_LABELS)
        for labels, value in counts.items():
            family.add_metric((*labels, "", "", "")[: len(_LABELS)], value)
        return family
