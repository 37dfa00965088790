"""How well a classifier does, from counts that merge."""

from typing import Any

import numpy as np
import numpy.typing as npt

from atalaia.statistics import calibration, confusion, coverage
from atalaia.statistics.layout import Layout
from atalaia.statistics.ranking import Area, ScoreHistogram, mean_area
from atalaia.statistics.sums import UNIT, logarithm

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Metrics = dict[str, float | None]


class Classification:
    """Counts and metrics of a classifier of ``classes`` classes.

    The event whose probability is ``score`` is, with two classes, that the label is ``positive`` (an index
    into the classes; the last unless told), with more, that the label is the predicted one. Calibration, and
    with two classes the Brier score and the area under the curve, are of that event.

    A state is an int64 array (length,): states of parts add up to the state of the whole in any order, to the
    last bit, and the state of a row subtracted takes it back without a trace. Sums of logarithms and squares
    are kept exactly (`atalaia.statistics.sums`).

    Parameters
    ----------
    classes : number of classes, at least 2
    positive : index of the positive class of two
    probabilities : whether the model gives them; without them, and more than two classes, log-loss, Brier
        score and area are None

    >>> model = Classification(classes=2)
    >>> state = model.count(
    ...     labels=np.array([0, 1, 1, -1]), predicted=np.array([0, 1, 0, 1]),
    ...     scores=np.array([0.25, 0.75, 0.25, 0.75]), probabilities=None)
    >>> figures = model.metrics(state)
    >>> round(figures["accuracy"], 3), round(figures["brier_score_loss"], 3), model.counts(state)["labelled"]
    (0.667, 0.229, 3)
    """

    def __init__(self, *, classes: int, positive: int | None = None, probabilities: bool = True) -> None:
        if classes < 2:
            raise ValueError(f"{classes} classes, expected at least 2")
        self.classes = classes
        self.positive = (1 if positive is None else positive) if classes == 2 else None
        self.probabilities = probabilities or self.positive is not None
        self.histogram = ScoreHistogram() if classes == 2 else ScoreHistogram(_bins(classes))
        curves = 1 if classes == 2 else classes if self.probabilities else 0
        self._layout = Layout(
            table=(classes + 1, classes),
            abstained=(classes + 1, classes),
            calibration=(calibration.LENGTH,),
            log_loss=(UNIT.limbs,),
            squares=(UNIT.limbs,),
            scores=(curves, 2, self.histogram.bins),
        )
        self.length = self._layout.length

    def count(
        self,
        *,
        labels: IntArray,
        predicted: IntArray,
        scores: npt.NDArray[np.float32] | FloatArray,
        probabilities: Probabilities | None = None,
        abstained: BoolArray | None = None,
    ) -> IntArray:
        """State (length,) of n rows.

        Parameters
        ----------
        labels : indices of the true classes (n,), -1 where unknown
        predicted : indices of the predicted classes (n,)
        scores : (n,) in [0, 1]
        probabilities : (n, classes); of two classes they follow from the score where not given
        abstained : (n,); such rows are counted apart and take part in no metric
        """
        answered = np.ones(len(labels), np.bool_) if abstained is None else ~abstained
        known = answered & (labels >= 0)
        label, said, score = labels[known], predicted[known], scores[known]
        event = label == (said if self.positive is None else self.positive)
        given = None if probabilities is None else probabilities[known]
        if self.positive is not None:
            log_loss, squares, curves = self._of_two(label, event, score, given)
        else:
            log_loss, squares, curves = self._of_many(label, given)
        return self._layout.join(
            table=self._table(labels[answered], predicted[answered]),
            abstained=self._table(labels[~answered], predicted[~answered]),
            calibration=calibration.count(_unit(score), event),
            log_loss=log_loss,
            squares=squares,
            scores=curves,
        )

    def confusion_matrix(self, state: IntArray) -> IntArray:
        """Rows the truth, columns the prediction, of labelled answered rows."""
        return self._layout.part(state, "table")[1:]

    def counts(self, state: IntArray) -> dict[str, int]:
        """``rows`` answered, those of them ``labelled``, ``abstained`` and ``abstained_labelled``."""
        table, abstained = self._layout.part(state, "table"), self._layout.part(state, "abstained")
        return {
            "rows": int(table.sum()),
            "labelled": int(table[1:].sum()),
            "abstained": int(abstained.sum()),
            "abstained_labelled": int(abstained[1:].sum()),
        }

    def metrics(self, state: IntArray) -> Metrics:
        """Names and values as scikit-learn has them; None where undefined.

        ``roc_auc`` is of the histogram and at most ``roc_auc_bound`` from the one of the scores; with more
        than two classes, one against the rest, averaged over classes that have both. ``log_loss`` clips as
        scikit-learn does, by the precision of the probabilities as given.
        """
        labelled = self.counts(state)["labelled"]
        answer = confusion.metrics(self.confusion_matrix(state), positive=self.positive)
        answer |= {"log_loss": None, "brier_score_loss": None}
        part = self._layout.part(state, "calibration")
        if labelled and self.probabilities:
            answer["log_loss"] = UNIT.mean(self._layout.part(state, "log_loss"), labelled)
            answer["brier_score_loss"] = UNIT.mean(self._layout.part(state, "squares"), labelled)
        area = self._area(state)
        answer |= {"roc_auc": area.value if area else None, "roc_auc_bound": area.bound if area else None}
        answer |= {
            "expected_calibration_error": calibration.expected_calibration_error(part),
            "calibration_z": calibration.z(part),
        }
        return answer

    def abstained_metrics(self, state: IntArray) -> Metrics:
        """What the model would have said of the rows it abstained from: metrics of their confusion matrix."""
        return confusion.metrics(self._layout.part(state, "abstained")[1:], positive=self.positive)

    def calibration(self, state: IntArray) -> IntArray:
        """The part that `atalaia.statistics.calibration` reads."""
        return self._layout.part(state, "calibration")

    def coverage_by_class(self, state: IntArray) -> tuple[IntArray, IntArray]:
        """Rows and labelled rows (classes,) by predicted class."""
        table = self._layout.part(state, "table")
        return table.sum(axis=0), table[1:].sum(axis=0)

    def biased(self, state: IntArray) -> bool:
        """Whether labels cover the predicted classes too unevenly for rates in `drop.BIASED` to alert."""
        return coverage.uneven(*self.coverage_by_class(state))

    def weighted_metrics(self, state: IntArray) -> Metrics:
        """Metrics of the confusion matrix with each predicted class at its full number of rows."""
        weights = coverage.inverse_weights(*self.coverage_by_class(state))
        return confusion.metrics(self.confusion_matrix(state) * weights, positive=self.positive)

    def rates(self, state: IntArray) -> dict[str, tuple[int, int]]:
        """Successes and trials of each metric that is a share of rows: what a drop can be judged by."""
        matrix = self.confusion_matrix(state)
        rates = {"accuracy": (int(np.trace(matrix)), int(matrix.sum()))}
        if self.positive is not None:
            for place, names in (
                (self.positive, ("recall", "precision")),
                (1 - self.positive, ("specificity", "negative_predictive_value")),
            ):
                hits = int(matrix[place, place])
                rates[names[0]] = hits, int(matrix[place].sum())
                rates[names[1]] = hits, int(matrix[:, place].sum())
        return rates

    def _table(self, labels: IntArray, predicted: IntArray) -> IntArray:
        for name, values, lowest in (("label", labels, -1), ("predicted class", predicted, 0)):
            if len(values) and not (lowest <= values.min() and values.max() < self.classes):
                found, expected = f"{values.min()} to {values.max()}", f"{lowest} to {self.classes - 1}"
                raise ValueError(f"{name} indices from {found}, expected {expected}")
        codes = (labels + 1) * self.classes + predicted
        return np.bincount(codes, minlength=(self.classes + 1) * self.classes)

    def _of_two(
        self, label: IntArray, event: BoolArray, score: Probabilities, given: Probabilities | None
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Digits of the log-loss and of the squared error, and the score histogram."""
        probability = _unit(score)
        if given is None:
            said = np.where(event, probability, 1 - probability)
            log_loss = _log_loss(said, score.dtype)
        else:
            log_loss = _log_loss(given[np.arange(len(label)), label], given.dtype)
        rest = event - probability
        return log_loss, UNIT.count(rest * rest), self.histogram.count(probability, event)

    def _of_many(self, label: IntArray, given: Probabilities | None) -> tuple[IntArray, IntArray, IntArray]:
        if not self.probabilities:
            nothing = np.zeros(UNIT.limbs, np.int64)
            return nothing, nothing, np.zeros(0, np.int64)
        if given is None:
            raise ValueError(f"no probabilities, expected those of {self.classes} classes a row")
        squares, curves = np.zeros(len(label)), []
        for place in range(self.classes):  # one by one: a sum over an axis has an order of its own
            true, probability = label == place, _unit(given[:, place])
            squares += np.square(true - probability)
            curves.append(self.histogram.count(probability, true))
        log_loss = _log_loss(given[np.arange(len(label)), label], given.dtype)
        return log_loss, UNIT.count(squares), np.stack(curves)

    def _area(self, state: IntArray) -> Area | None:
        return mean_area([self.histogram.area(counts) for counts in self._layout.part(state, "scores")])


def _unit(probability: Probabilities) -> FloatArray:
    return np.clip(probability.astype(np.float64), 0.0, 1.0)


def _log_loss(probability: Probabilities, given_as: np.dtype[Any]) -> IntArray:
    """Digits of the sum of -ln p, in float64, p clipped by the precision it was given in."""
    tiny = float(np.finfo(given_as).eps)
    return UNIT.count(-logarithm(np.clip(probability.astype(np.float64), tiny, 1 - tiny)))


def _bins(classes: int) -> int:
    """Bins a class: fewer with more classes, so that a pane stays small; the bound tells the cost."""
    return max(16, min(128, 1024 // classes))
