"""The figures behind the rules of performance and fairness, simulated anew.

Run as ``python -m bench.fairness_simulation [WINDOWS]``; prints a table as JSON lines.
"""

import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import binom

from atalaia.inference.rows import FloatArray, IntArray
from atalaia.statistics import calibration, drop, gaps
from atalaia.statistics.fairness import Fairness
from atalaia.statistics.groups import Attribute, Counts
from atalaia.statistics.intervals import newcombe, quantile, ratio
from atalaia.statistics.performance import Classification
from atalaia.statistics.ranking import ScoreHistogram

WINDOWS = 10_000
SIZES = {
    "8 groups of 500": (500,) * 8,
    "8 groups of 100": (100,) * 8,
    "8 groups of 2000 to 20": (2000, 1000, 500, 300, 150, 80, 40, 20),
}
PREVALENCE, TPR, FPR = 0.3, 0.8, 0.1


def main(windows: int) -> None:
    """Print every figure."""
    for figure in itertools.chain(
        false_alerts(windows),
        worst_pairs(),
        power(windows // 10),
        falls(windows * 10),
        (delay_bias(),),
        calibration_errors(windows // 10),
        area_bounds(),
    ):
        sys.stdout.write(json.dumps(figure) + "\n")


def false_alerts(windows: int) -> Iterator[dict[str, Any]]:
    """How often windows in which all groups are treated alike are called unfair.

    Beside the rule: the widest gap of a rate with a plain 95 % interval (Wald's), which excludes 0.
    """
    for name, sizes in SIZES.items():
        generator = np.random.default_rng(0)
        watch = Fairness([Attribute("group")])
        plain = {"flag_rate": 0, "tpr": 0, "any of three": 0}
        hits: dict[tuple[str, str], list[bool]] = {}
        hit_windows = alerts = 0
        for _ in range(windows):
            table = _window(generator, sizes, np.full(len(sizes), TPR))
            called = _plainly_unfair(table)
            plain["flag_rate"] += called[0]
            plain["tpr"] += called[1]
            plain["any of three"] += any(called)
            judged = watch.result(_counts(table)).judged()
            hit_windows += any(judged.values())
            for subject, hit in judged.items():
                hits.setdefault(subject, []).append(hit)
        for history in hits.values():
            alerts += sum(
                drop.persists(history[: end + 1][-gaps.OF_WINDOWS :], needed=gaps.HITS, of_windows=2)
                for end in range(len(history))
            )
        yield {
            "figure": f"false alerts, {name}",
            "windows": windows,
            "plain 95 % intervals": {rate: count / windows for rate, count in plain.items()},
            "hits by the rule": hit_windows / windows,
            "alerts by the rule (2 in a row)": alerts / windows,
        }


def worst_pairs() -> Iterator[dict[str, Any]]:
    """The fair pair of groups that the rule calls a hit most often, over sizes and rates, by exact sums.

    Beside it the rule with ten of each outcome seen in each group, not expected: both keep to 1 in 1,000 or
    about it, and that one is deaf to a group that is never flagged.
    """
    rule = gaps.Rule()
    worst: dict[str, tuple[float, str]] = {}
    rates = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.8, 0.95)
    for small, large, rate in itertools.product(
        (30, 40, 60, 100, 200, 400),
        (30, 100, 1000, 10_000),
        rates,
    ):
        likely = np.unique(binom.ppf(np.linspace(1e-6, 1 - 1e-6, 400), large, rate))
        first, second = (grid.reshape(-1) for grid in np.meshgrid(np.arange(small + 1.0), likely))
        mass = np.diff(binom.cdf(likely, large, rate), prepend=0.0)
        weight = np.outer(mass, binom.pmf(np.arange(small + 1), small, rate)).reshape(-1)
        for name, chance in _hit_chances((first, small), (second, large), weight, rule).items():
            worst[name] = max(worst.get(name, (0.0, "")), (chance, f"{small} and {large} rows, rate {rate}"))
    for name, (chance, case) in worst.items():
        yield {"figure": f"worst fair pair, {name}", "hit": chance, "case": case}


def _hit_chances(
    one: tuple[FloatArray, int], other: tuple[FloatArray, int], weight: FloatArray, rule: gaps.Rule
) -> dict[str, float]:
    (first, small), (second, large) = one, other
    swapped = first / small < second / large
    rows, others = np.full_like(first, small), np.full_like(second, large)
    higher = np.where(swapped, second, first), np.where(swapped, others, rows)
    lower = np.where(swapped, first, second), np.where(swapped, rows, others)
    level = 1 - gaps.FALSE_ALARMS
    hits = {
        "difference": newcombe(*higher, *lower, level).low > rule.difference,
        "ratio": ratio(*lower, *higher, level).high < rule.ratio,
    }
    expected = gaps.supported_pairs(lower, higher, rule)
    fewest = np.minimum.reduce([first, small - first, second, large - second])
    return {
        f"{kind}, outcomes {how}": float(weight[hit & enough].sum())
        for kind, hit in hits.items()
        for how, enough in (("expected", expected), ("seen", expected & (fewest >= rule.outcomes)))
    }


def power(windows: int) -> Iterator[dict[str, Any]]:
    """How often one window of two groups, of which one has a lower TPR, is a hit for it."""
    for positives, gap in itertools.product((100, 300, 1000), (0.1, 0.2, 0.3)):
        generator = np.random.default_rng(1)
        watch = Fairness([Attribute("group")])
        size = int(positives / PREVALENCE)
        hits = 0
        for _ in range(windows):
            table = _window(generator, (size, size), np.array([TPR, TPR - gap]))
            hits += watch.result(_counts(table)).judged().get(("tpr_difference", "group"), False)
        yield {
            "figure": f"a TPR lower by {gap}, about {positives} positives a group",
            "hit": hits / windows,
        }


def falls(windows: int) -> Iterator[dict[str, Any]]:
    """How often a window of an accuracy that fell is a hit; of .8 on 1000 held-out rows."""
    generator = np.random.default_rng(2)
    for rows, fall in itertools.product((100, 500, 2000), (0.0, 0.05, 0.1, 0.2)):
        reference = generator.binomial(1000, 0.8, windows)
        window = generator.binomial(rows, 0.8 - fall, windows)
        low, _ = newcombe(reference, 1000, window, rows, drop.LEVEL)
        hit = low > drop.MAXIMUM_DROP
        three = generator.permutation(hit)[: windows // 3 * 3].reshape(-1, 3)
        yield {
            "figure": f"accuracy lower by {fall}, {rows} labels",
            "hit": float(hit.mean()),
            "2 of 3": float((three.sum(axis=1) >= drop.HITS).mean()),
        }


def delay_bias() -> dict[str, Any]:
    """Positives known after a day on average, negatives after a week: the accuracy of a window by its age."""
    generator = np.random.default_rng(3)
    rows = 2_000_000
    truth = generator.random(rows) < 0.05
    right = generator.random(rows) < np.where(truth, 0.8, 0.996)
    known_after = generator.exponential(np.where(truth, 1.0, 7.0))
    model = Classification(classes=2)
    accuracy: dict[str, dict[str, float | None]] = {}
    for days in (1, 3, 7, 14, 28, 90):
        labels = np.where(known_after <= days, truth, -1)
        predicted = np.where(right, truth, ~truth).astype(np.int64)
        state = model.count(labels=labels, predicted=predicted, scores=predicted.astype(np.float64))
        counts = model.counts(state)
        accuracy[f"day {days}"] = {
            "coverage": counts["labelled"] / rows,
            "accuracy": model.metrics(state)["accuracy"],
            "weighted": model.weighted_metrics(state)["accuracy"],
        }
    return {"figure": "delay bias", "true accuracy": float(right.mean()), **accuracy}


def calibration_errors(windows: int) -> Iterator[dict[str, Any]]:
    """ECE and Z of models that are calibrated perfectly."""
    generator = np.random.default_rng(4)
    for name, (first, second) in {"even": (1, 1), "near 0 and 1": (0.5, 0.5), "rare": (0.5, 2)}.items():
        for rows in (500, 5000):
            errors, values = [], []
            for _ in range(windows):
                p = generator.beta(first, second, rows)
                state = calibration.count(p, generator.random(rows) < p)
                errors.append(calibration.expected_calibration_error(state) or 0.0)
                values.append(calibration.z(state) or 0.0)
            beyond = np.abs(values) > quantile(calibration.LEVEL)
            yield {
                "figure": f"calibrated, probabilities {name}, {rows} rows",
                "mean ECE": float(np.mean(errors)),
                "SD of Z": float(np.std(values)),
                "Z beyond 99.9 %": float(beyond.mean()),
            }


def area_bounds() -> Iterator[dict[str, Any]]:
    """The bound of the area under the curve, by how far the scores of the two kinds lie apart."""
    generator = np.random.default_rng(5)
    for apart, bins in itertools.product((0.5, 1.0, 2.0, 4.0), (512, 128)):
        histogram = ScoreHistogram(bins)
        truth = generator.random(50_000) < PREVALENCE
        scores = 1 / (1 + np.exp(-(generator.normal(size=50_000) + apart * truth)))
        area = histogram.area(histogram.count(scores, truth))
        if area is not None:
            yield {"figure": f"area, {apart} apart, {bins} bins", "area": area.value, "bound": area.bound}


def _window(generator: np.random.Generator, sizes: tuple[int, ...], rate: FloatArray) -> IntArray:
    """Counts (groups, 4) of tn, fn, fp, tp."""
    positives = generator.binomial(sizes, PREVALENCE)
    negatives = np.array(sizes) - positives
    tp, fp = generator.binomial(positives, rate), generator.binomial(negatives, FPR)
    return np.column_stack([negatives - fp, positives - tp, fp, tp]).astype(np.int64)


def _counts(table: IntArray) -> Counts:
    return {
        (str(place),): np.array([0, tn, fn, 0, fp, tp, 0]) for place, (tn, fn, fp, tp) in enumerate(table)
    }


def _plainly_unfair(table: IntArray) -> list[bool]:
    """Of flag rate, TPR and FPR: whether the 95 % interval of the widest gap excludes 0."""
    tn, fn, fp, tp = table.T
    answer = []
    for hits, rows in ((tp + fp, table.sum(axis=1)), (tp, tp + fn), (fp, fp + tn)):
        known = rows > 0
        rate, trials = hits[known] / rows[known], rows[known]
        high, low = rate.argmax(), rate.argmin()
        variance = rate * (1 - rate) / trials
        answer.append(bool(rate[high] - rate[low] > quantile(0.95) * np.sqrt(variance[high] + variance[low])))
    return answer


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else WINDOWS)
