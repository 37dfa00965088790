"""What a window's counts come to, against the reference: metrics, drops, calibration, and findings."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.alerts import Finding
from atalaia.bundles.figures import classifier, held_out
from atalaia.monitors.truth.layout import StructArray
from atalaia.monitors.truth.told import Watch
from atalaia.results import PerformanceResult
from atalaia.statistics import calibration, coverage, drop, regression
from atalaia.statistics.bins import IntArray
from atalaia.statistics.performance import Classification

FloatArray = npt.NDArray[np.float64]
Metrics = dict[str, float | None]

TRAINING = "the reference is the training data, on which a model does better than on new rows"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a metric is worse than on the held-out rows; ``change`` has its interval at 99.9 %.

    Of a rate the change is the drop, of the mean absolute error the rise, of calibration the shift of
    mean(label - probability). ``judged`` is False where the rule does not apply, ``reason`` says why.
    """

    metric: str
    value: float | None
    reference: float | None
    change: float | None
    low: float | None
    high: float | None
    judged: bool
    hit: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """All that follows from a state but drift of the label, and errors one by one."""

    metrics: Metrics
    judgements: list[Judgement]
    coverage_by_class: list[float | None] = field(default_factory=list)
    confusion_matrix: list[list[int]] = field(default_factory=list)
    biased: bool = False
    weighted: Metrics = field(default_factory=dict)
    why: str | None = None


class Scoring(ABC):
    """Of one task; ``reference_metrics`` are the same metrics of the bundle's held-out rows."""

    reference_metrics: Metrics

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        reference = watch.reference
        self.held_out = held_out(watch.manifest, reference.answers, reference.abstained)

    @abstractmethod
    def score(self, state: IntArray, *, judged: bool) -> Scored:
        """What a window comes to; without verdicts where it is not yet to be judged."""

    @abstractmethod
    def errors(self, rows: StructArray, truth: npt.NDArray[Any]) -> FloatArray:
        """The error (n,) of each row."""

    def findings(self, result: PerformanceResult) -> list[Finding]:
        """What a mature window says of each metric that could be judged."""
        return [
            Finding(
                self.watch.subject(one["metric"]),
                hit=one["hit"],
                evidence={
                    **{name: one[name] for name in ("value", "reference", "change", "low", "high")},
                    "n": result.n,
                    "labelled": result.labelled,
                    "coverage": result.coverage,
                },
            )
            for one in result.judgements
            if one["judged"]
        ]

    def _why(self, judged: bool) -> str | None:
        if not judged:
            return "not mature: labels are still expected"
        return TRAINING if self.watch.manifest.reference_is_training else None


class ClassifierScoring(Scoring):
    """Of a classifier."""

    def __init__(self, watch: Watch, statistic: Classification) -> None:
        super().__init__(watch)
        self.statistic = statistic
        answers = watch.reference.answers
        self._reference = classifier(watch.manifest, probabilities=answers.probabilities is not None)
        labelled = self._reference.counts(self.held_out)["labelled"]
        self.reference_metrics = self._reference.metrics(self.held_out) if labelled else {}

    def score(self, state: IntArray, *, judged: bool) -> Scored:
        """What a window comes to."""
        statistic = self.statistic
        rows, labelled = statistic.coverage_by_class(state)
        uneven = statistic.biased(state)
        why = self._why(judged)
        return Scored(
            metrics=statistic.metrics(state),
            judgements=self._judgements(state, uneven=uneven) if why is None else [],
            coverage_by_class=[
                coverage.share(*pair) for pair in zip(rows.tolist(), labelled.tolist(), strict=True)
            ],
            confusion_matrix=statistic.confusion_matrix(state).tolist(),
            biased=uneven,
            weighted=statistic.weighted_metrics(state),
            why=why,
        )

    def errors(self, rows: StructArray, truth: npt.NDArray[Any]) -> FloatArray:
        """1 where the class is another than the label (n,)."""
        answer: FloatArray = (rows["predicted"] != truth).astype(np.float64)
        return answer

    def _judgements(self, state: IntArray, *, uneven: bool) -> list[Judgement]:
        settings = self.watch.settings.performance
        rates, reference = self.statistic.rates(state), self._reference.rates(self.held_out)
        drops = drop.judge(
            rates,
            reference,
            metrics=[metric for metric in settings.metrics if metric in rates],
            uneven=uneven,
            minimum_rows=settings.minimum_labelled_rows,
            maximum_drop=settings.maximum_drop,
        )
        answer = [
            Judgement(
                one.metric, one.value, one.reference, one.drop, one.low, one.high,
                judged=one.judged, hit=one.hit, reason=one.reason,
            )
            for one in drops
        ]  # fmt: skip
        if settings.calibration:
            answer.append(self._calibration(state))
        return answer

    def _calibration(self, state: IntArray) -> Judgement:
        known = self._reference.counts(self.held_out)["labelled"] > 0
        verdict = calibration.judge(
            self.statistic.calibration(state),
            self._reference.calibration(self.held_out) if known else None,
            minimum_rows=self.watch.settings.performance.minimum_labelled_rows,
        )
        found = asdict(verdict)
        return Judgement(
            metric="calibration",
            value=found.pop("z"),
            reference=self.reference_metrics.get("calibration_z"),
            change=found.pop("shift"),
            **found,
        )


class RegressorScoring(Scoring):
    """Of a regressor."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        labelled = regression.counts(self.held_out)["labelled"]
        self.reference_metrics = regression.metrics(self.held_out) if labelled else {}

    def score(self, state: IntArray, *, judged: bool) -> Scored:
        """What a window comes to."""
        part = state[: regression.LENGTH]
        why = self._why(judged)
        return Scored(
            metrics=regression.metrics(part),
            judgements=[self._judge(part)] if why is None else [],
            why=why,
        )

    def errors(self, rows: StructArray, truth: npt.NDArray[Any]) -> FloatArray:
        """The absolute error (n,)."""
        answer: FloatArray = np.abs(rows["score"].astype(np.float64) - truth)
        return answer

    def _judge(self, state: IntArray) -> Judgement:
        minimum = self.watch.settings.performance.minimum_labelled_rows
        found = asdict(regression.judge(state, self.held_out, minimum_rows=minimum))
        return Judgement(metric="mean_absolute_error", change=found.pop("rise"), **found)
