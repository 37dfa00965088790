"""The figures of the drift verdict, simulated anew: how often it is wrong, and what it finds.

``python -m bench.drift_simulation`` prints the table in some four minutes, from 120 independent references
with 500 windows each, so that one alert counts as 2 per 1,000; ``--full`` takes 400 references with 2,000
windows, which is an hour. The rules are those of `atalaia.statistics.verdict`, in
vectorised form; tests hold the two to each other.
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from rich.console import Console
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri
from scipy.stats import beta, kstwo

from atalaia.statistics.dependence import dependence_factor
from atalaia.statistics.ks import effective_rows
from atalaia.statistics.sequential import DETECTORS, LogDistance, Sequential
from atalaia.statistics.verdict import DEFAULT, Rules

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.float32]

_CELLS = 250
_LARGE_WINDOW = 5_000
_VALUES_AT_ONCE = 500_000


@dataclass(frozen=True)
class Setting:
    """A line of the table: rows of a window and of the reference, columns, and the rules.

    Power is simulated with ``power_columns``, one of them shifted by ``shift`` standard deviations.
    ``autocorrelation`` is that of an AR(1) process, ``rows_a_patient`` share one value; of the factor phi of
    such rows, p uses the one estimated with ``corrected``.
    """

    n: int
    m: int
    columns: int
    note: str = ""
    rules: Rules = DEFAULT
    power_columns: int | None = None
    shift: float = 0.25
    autocorrelation: float = 0.0
    rows_a_patient: int = 1
    corrected: bool = False


TABLE = (
    Setting(500, 893, 20, power_columns=15),
    Setting(500, 1191, 10),
    Setting(500, 1191, 20),
    Setting(500, 2000, 20, power_columns=15),
    Setting(500, 5000, 20),
    Setting(50_000, 5000, 20),
    Setting(50_000, 5000, 20, "no effect size", replace(DEFAULT, effect=0.0)),
    Setting(500, 1191, 20, "q = .05", replace(DEFAULT, q=0.05)),
)
DEPENDENT = (
    Setting(500, 2000, 10, "AR(1) of .5", autocorrelation=0.5),
    Setting(500, 2000, 10, "AR(1) of .5, phi", autocorrelation=0.5, corrected=True),
    Setting(500, 2000, 10, "four rows a patient", rows_a_patient=4),
    Setting(500, 2000, 10, "four rows a patient, phi", rows_a_patient=4, corrected=True),
)


@dataclass(frozen=True)
class Figures:
    """Alerts of each reference's model (references,) within ``windows``; found within 3 and 5 windows."""

    alerts: npt.NDArray[np.int64]
    windows: int
    found: tuple[float, float] | None = None
    rates: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", self.alerts * 1000 / self.windows)

    @property
    def p95(self) -> float:
        """Alerts per 1,000 windows that 95 % of the references do not exceed."""
        return float(np.quantile(self.rates, 0.95, method="inverted_cdf"))

    def bound(self, rate: float = 1.0) -> float:
        """Upper 95 % bound of the share of references with more alerts per 1,000 windows than ``rate``."""
        return _upper(int((self.rates > rate).sum()), len(self.rates))

    @property
    def mean_bound(self) -> float:
        """Upper 95 % bound of the mean rate, over references drawn again."""
        rng = np.random.default_rng(0)
        drawn = rng.choice(self.rates, (2000, len(self.rates))).mean(axis=1)
        return float(np.quantile(drawn, 0.95))


def simulate(setting: Setting, *, references: int, windows: int, seed: int, power: bool = True) -> Figures:
    """One line of the table, from as many independent references."""
    rng = np.random.default_rng(seed)
    p_of = PValues(setting.n, setting.m)
    alerts = np.zeros(references, np.int64)
    hits, quiet = (np.empty((windows, references, setting.columns), np.bool_) for _ in range(2))
    for place in range(references):
        distances = np.stack([_column(setting, windows, rng) for _ in range(setting.columns)], axis=1)
        phi, distances = distances[0, :, 1], distances[..., 0]
        p_values = _corrected(setting, distances, phi) if setting.corrected else p_of(distances)
        hits[:, place] = is_hit(p_values, distances, setting.rules)
        quiet[:, place] = is_quiet(p_values, distances, hits[:, place], setting.rules)
    alerts[:] = fired(hits, quiet, setting.rules).sum(axis=(0, 2))
    return Figures(alerts, windows, _power(setting, references, rng, p_of) if power else None)


class PValues:
    """p of many distances at once, between tabled ones: within a hundredth of p where p is above 1e-15."""

    def __init__(self, n: int, m: int, dependence: float = 1.0) -> None:
        rows = effective_rows(n, m, dependence)
        most = min(0.999, 8 / np.sqrt(rows))
        self._distances = np.linspace(0.0, most, 160)
        self._logarithms = np.log(np.maximum(kstwo.sf(self._distances, rows), 1e-300))

    def __call__(self, distances: FloatArray) -> FloatArray:
        """p, of the shape of the distances."""
        answer: FloatArray = np.exp(np.interp(distances, self._distances, self._logarithms))
        return answer


def distances_to(reference: Ranks, windows: Ranks) -> FloatArray:
    """D (windows,) of rows of values (windows, n), sorted, from a reference (m,), sorted; no value twice."""
    count, n = windows.shape
    below = np.searchsorted(reference, windows.ravel()).reshape(count, n)
    ahead = np.arange(1, n + 1) / n - below / len(reference)
    answer: FloatArray = np.maximum(ahead.max(axis=1), 1 / n - ahead.min(axis=1))
    return answer


def is_hit(p_values: FloatArray, distances: FloatArray, rules: Rules) -> BoolArray:
    """Hits (windows, columns): Benjamini-Hochberg over the columns of a window, and the effect size."""
    columns = p_values.shape[1]
    rising = np.sort(p_values, axis=1)
    passed = np.where(rising <= rules.q * np.arange(1, columns + 1) / columns, rising, -1.0).max(axis=1)
    answer: BoolArray = (p_values <= passed[:, None]) & (distances >= rules.effect)
    return answer


def is_quiet(p_values: FloatArray, distances: FloatArray, hits: BoolArray, rules: Rules) -> BoolArray:
    """Which windows count towards an end of drift."""
    return ~hits & ((distances < rules.quiet_effect) | (p_values > rules.quiet_p))


def fired(hits: BoolArray, quiet: BoolArray, rules: Rules) -> BoolArray:
    """When drift begins, of hits and quiet windows (windows, ...) in order: `verdict.fold` of many."""
    answer = np.zeros_like(hits)
    recent = np.zeros((rules.among, *hits.shape[1:]), np.bool_)
    quiet_run = np.zeros(hits.shape[1:], np.int64)
    drifted = np.zeros(hits.shape[1:], np.bool_)
    for window in range(len(hits)):
        recent[window % rules.among] = hits[window]
        quiet_run = np.where(quiet[window], quiet_run + 1, 0)
        answer[window] = ~drifted & hits[window] & (recent.sum(axis=0) >= rules.hits)
        ends = drifted & (quiet_run >= rules.quiet_windows)
        drifted = (drifted | answer[window]) & ~ends
        recent[:, ends] = False
    return answer


def _column(setting: Setting, windows: int, rng: np.random.Generator) -> FloatArray:
    """D (windows, 2) of one column against its own reference; phi in the second place."""
    if setting.autocorrelation or setting.rows_a_patient > 1:
        return _dependent_column(setting, windows, rng)
    reference = np.sort(rng.random(setting.m, np.float32))
    if setting.n > _LARGE_WINDOW:
        distances = _from_cells(reference, setting.n, windows, rng)
    else:
        distances = np.concatenate(
            [
                distances_to(reference, np.sort(rng.random((some, setting.n), np.float32), axis=1))
                for some in _parts(windows, setting.n)
            ]
        )
    return np.stack([distances, np.ones(windows)], axis=1)


def _from_cells(reference: Ranks, n: int, windows: int, rng: np.random.Generator) -> FloatArray:
    """D of large windows at 250 values of the reference: too small by about .001, at a threshold of .08."""
    places = np.linspace(0, len(reference) - 1, _CELLS).astype(np.int64)
    edges = reference[places].astype(np.float64)
    shares = np.diff(np.concatenate([[0.0], edges, [1.0]]))
    reached = np.cumsum(rng.multinomial(n, shares, windows)[:, :-1], axis=1) / n
    answer: FloatArray = np.abs(reached - (places + 1) / len(reference)).max(axis=1)
    return answer


def _dependent_column(setting: Setting, windows: int, rng: np.random.Generator) -> FloatArray:
    """Windows of a series or of patients; phi from 60 windows before them."""
    held_out = 60
    reference = np.sort(_dependent(setting, 1, setting.m, rng)[0])
    distances = np.concatenate(
        [
            distances_to(reference, np.sort(_dependent(setting, some, setting.n, rng), axis=1))
            for some in _parts(held_out + windows, setting.n)
        ]
    )
    n = np.full(held_out, float(setting.n))
    phi = dependence_factor(distances[:held_out], n, setting.m)
    return np.stack([distances[held_out:], np.full(windows, phi)], axis=1)


def _dependent(setting: Setting, windows: int, n: int, rng: np.random.Generator) -> Ranks:
    """Normal values (windows, n) in order of time; each window starts anew."""
    if setting.rows_a_patient > 1:
        k = setting.rows_a_patient
        # Rows of a patient agree in all but a tenth of the variance, and so hold no ties.
        patients = np.repeat(rng.normal(size=(windows, -(-n // k))), k, axis=1)[:, :n]
        rows = np.sqrt(0.9) * patients + np.sqrt(0.1) * rng.normal(size=(windows, n))
        return np.asarray(rows, np.float32)
    past = 50
    noise = rng.normal(size=(windows, past + n)) * np.sqrt(1 - setting.autocorrelation**2)
    series = lfilter([1.0], [1.0, -setting.autocorrelation], noise, axis=1)
    return np.asarray(series[:, past:], np.float32)


def _corrected(setting: Setting, distances: FloatArray, phi: FloatArray) -> FloatArray:
    return np.stack(
        [
            PValues(setting.n, setting.m, float(phi[column]))(distances[:, column])
            for column in range(distances.shape[1])
        ],
        axis=1,
    )


def _power(
    setting: Setting, references: int, rng: np.random.Generator, p_of: PValues
) -> tuple[float, float] | None:
    """The share of references at which a shift from the first window on is found within 3, and 5, windows."""
    if setting.autocorrelation or setting.rows_a_patient > 1:
        return None
    found = np.zeros((references, 5), np.bool_)
    for place in range(references):
        distances = np.empty((5, setting.power_columns or setting.columns))
        for column in range(1, distances.shape[1]):
            distances[:, column] = _column(setting, 5, rng)[:, 0]
        reference = np.sort(rng.random(setting.m, np.float32))
        if setting.n > _LARGE_WINDOW:
            reference = ndtr(ndtri(reference.astype(np.float64)) - setting.shift).astype(np.float32)
            distances[:, 0] = _from_cells(reference, setting.n, 5, rng)
        else:
            moved = ndtr(ndtri(rng.random((5, setting.n))) + setting.shift)
            distances[:, 0] = distances_to(reference, np.sort(moved.astype(np.float32), axis=1))
        p_values = p_of(distances)
        hits = is_hit(p_values, distances, setting.rules)
        quiet = is_quiet(p_values, distances, hits, setting.rules)
        found[place] = fired(hits, quiet, setting.rules)[:, 0]
    return float(found[:, :3].any(axis=1).mean()), float(found.any(axis=1).mean())


def _parts(windows: int, n: int) -> Iterator[int]:
    """How many windows to draw at a time, so that they stay in the processor's cache."""
    most = max(1, _VALUES_AT_ONCE // n)
    for start in range(0, windows, most):
        yield min(most, windows - start)


def _upper(k: int, n: int) -> float:
    """Upper 95 % bound of a share, of Clopper and Pearson."""
    return 1.0 if k == n else float(beta.ppf(0.95, k + 1, n - k))


_LINE = "{:>7} {:>6} {:>8}  {:<26} {:>6} {:>5} {:>6} {:>16} {:>12} {:>8}"


def report(
    settings: Iterable[Setting], *, references: int, windows: int, seed: int, console: Console
) -> None:
    """Print one line a setting as it is done."""
    console.print(f"{references} references x {windows} windows, seed {seed}; false alerts per 1,000 windows")
    head = ("n", "m", "columns", "", "mean", "p95", "worst", "> 1 (95% bound)", ".25SD 3 / 5", "seconds")
    console.print(_LINE.format(*head))
    for place, setting in enumerate(settings):
        started = time.perf_counter()
        figures = simulate(setting, references=references, windows=windows, seed=seed + place)
        line = _LINE.format(
            setting.n,
            setting.m,
            setting.columns,
            setting.note,
            f"{figures.rates.mean():.2f}",
            f"{figures.p95:.1f}",
            f"{figures.rates.max():.1f}",
            f"{(figures.rates > 1).mean():.3f} ({figures.bound():.3f})",
            "" if figures.found is None else "{:.2f} / {:.2f}".format(*figures.found),
            f"{time.perf_counter() - started:.0f}",
        )
        console.print(line)


def stationary_alarms(kind: str, values: FloatArray) -> int:
    """Alarms of a detector over values (n,) that do not drift."""
    return len(Sequential(kind).feed(values, np.arange(len(values))))


def report_detectors(*, rows: int, seed: int, console: Console) -> None:
    """Print the false alarms of each sequential detector per million stationary rows."""
    rng = np.random.default_rng(seed)
    distances = rng.chisquare(11, rows)
    logarithms = LogDistance(rng.chisquare(11, 5000)).standardise(distances)
    streams = {"distance": distances, "its standardised logarithm": logarithms}
    errors = {f"an error of {rate}": (rng.random(rows) < rate).astype(np.float64) for rate in (0.05, 0.35)}
    console.print(f"alarms per million stationary rows, from {rows:,} rows")
    for kind in DETECTORS:
        fed = errors if kind in ("ddm", "eddm", "hddm_a", "hddm_w") else streams | errors
        found = {name: stationary_alarms(kind, values) * 1_000_000 // rows for name, values in fed.items()}
        console.print(f"{kind:>14}: " + ", ".join(f"{count:,} on {name}" for name, count in found.items()))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--full", action="store_true", help="400 references x 2,000 windows, for an hour")
    parser.add_argument("--references", type=int, default=None)
    parser.add_argument("--windows", type=int, default=None)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    references = given.references or (400 if given.full else 120)
    windows = given.windows or (2000 if given.full else 500)
    console = Console(width=150, highlight=False)
    report(TABLE, references=references, windows=windows, seed=given.seed, console=console)
    few = max(references // 5, 1)
    report(DEPENDENT, references=few, windows=windows, seed=given.seed, console=console)
    report_detectors(rows=1_000_000, seed=given.seed, console=console)


if __name__ == "__main__":
    main()
