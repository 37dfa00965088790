"""The files behind the metabolic panels: real adults of a survey, and triples of inpatient panels.

Panels: NHANES 2001-2018, Centers for Disease Control and Prevention, public domain. Triples: 119 inpatient
panels with the one before and the one after, for how much two panels of a person differ.

What `recipes.bmp_figures` holds is what this prints, given the files::

    python -m recipes.bmp_survey DATA_DIR
"""

import csv
import gzip
import sys
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from atalaia.errors import BundleError
from recipes.bmp_figures import AGE_BANDS, ANALYTES, RACES, YOUNGEST
from recipes.bmp_people import FloatArray, People, log_ratio_noise

PANELS = "nhanes/nhanes_bmp_2001_2018.csv.gz"
TRIPLES = "bmp/bmp_self_test_first119.csv"
FORMER_CYCLE, NEW_CYCLE = "2015-2016", "2017-2018"
TRAINING_CYCLES = ("2001-2002", "2003-2004", "2005-2006", "2007-2008", "2009-2010", "2011-2012", "2013-2014")
HALVES_SEED = 2015

_COLUMNS = ("sodium", "chloride", "potassium", "co2", "bun", "creatinine", "calcium", "glucose")
_HELD_OUT_EVERY = 3


@dataclass(frozen=True, slots=True)
class Survey:
    """Adults in order of survey cycle, and log-ratios of panels that follow one another.

    ``ratios`` (119, 16): log(current / prior) of the analytes, then log(next / current).
    """

    people: People
    cycles: npt.NDArray[np.str_]
    ratios: FloatArray

    @classmethod
    def read(cls, data_dir: Path) -> Self:
        """From the data folder.

        Raises
        ------
        BundleError
            naming the file that cannot be read, or has other columns.
        """
        adults = [row for row in _read(data_dir / PANELS) if float(row["age"]) >= YOUNGEST]
        triples = _read(data_dir / TRIPLES)
        try:
            people = People(
                sex=np.array([row["sex"] for row in adults]),
                age=np.array([float(row["age"]) for row in adults]),
                race_eth=np.array([RACES[int(float(row["race_eth"])) - 1] for row in adults]),
                blood=_numbers(adults, _COLUMNS),
            )
            now, before, after = (
                _numbers(triples, [f"{name}{of}" for name in ANALYTES]) for of in ("", "_prior", "_post")
            )
        except (KeyError, ValueError, IndexError) as error:
            raise BundleError(
                f"{data_dir / PANELS} and {data_dir / TRIPLES} are not the files expected ({error!r})"
            ) from error
        ratios = np.log(np.hstack([now / before, after / now]))
        return cls(people, np.array([row["cycle"] for row in adults]), ratios)

    def adults(self, *cycles: str) -> People:
        """The adults of these cycles."""
        return self.people.take(np.flatnonzero(np.isin(self.cycles, cycles)))

    def halves(self) -> tuple[People, People]:
        """Cycle 2015-2016, halved at random: one half is the reference, the other the stationary stream."""
        adults = self.adults(FORMER_CYCLE)
        order = np.random.default_rng(HALVES_SEED).permutation(len(adults)).astype(np.int64)
        return adults.take(order[: len(order) // 2]), adults.take(order[len(order) // 2 :])

    def training_ratios(self) -> FloatArray:
        """Two of three triples: those a model may learn from."""
        kept: FloatArray = self.ratios[np.arange(len(self.ratios)) % _HELD_OUT_EVERY != _HELD_OUT_EVERY - 1]
        return kept

    def held_out_ratios(self) -> FloatArray:
        """Every third triple. A model knows a triple it was trained on again, with far fewer false alarms."""
        return self.ratios[_HELD_OUT_EVERY - 1 :: _HELD_OUT_EVERY]


def bootstrap(rng: np.random.Generator, ratios: FloatArray, n: int, *, kernel: float) -> FloatArray:
    """Whole rows of log-ratios (n, 16), each with noise of ``kernel`` times the columns' SDs."""
    drawn: FloatArray = ratios[rng.integers(len(ratios), size=n)]
    return drawn + log_ratio_noise(rng, ratios.std(axis=0), n) * kernel


def recompute(data_dir: Path) -> dict[str, Any]:
    """The figures of `recipes.bmp_figures`, from the files."""
    survey = Survey.read(data_dir)
    figures: dict[str, Any] = {}
    for name, cycle in (("FORMER", FORMER_CYCLE), ("NEW", NEW_CYCLE)):
        figures[name] = _laboratory(survey.adults(cycle), cycle)
    former = survey.adults(FORMER_CYCLE)
    figures["RACE_SHARES"] = tuple(round(float((former.race_eth == race).mean()), 3) for race in RACES)
    figures["RATIO_SDS"] = _rounded(survey.ratios.std(axis=0, ddof=1))
    figures["RATIO_CORRELATION"] = _correlation(survey.ratios)
    return figures


def _laboratory(people: People, cycle: str) -> dict[str, Any]:
    logs = np.log(people.blood)
    bands = np.searchsorted(AGE_BANDS, people.age, side="right")
    shares, means, spreads = {}, {}, {}
    residuals = np.empty_like(logs)
    for sex in ("F", "M"):
        for band in range(len(AGE_BANDS) + 1):
            members = (people.sex == sex) & (bands == band)
            shares[sex, band] = round(float(members.mean()), 4)
            means[sex, band] = _rounded(logs[members].mean(axis=0))
            spreads[sex, band] = _rounded(logs[members].std(axis=0, ddof=1))
            residuals[members] = (logs[members] - logs[members].mean(axis=0)) / logs[members].std(
                axis=0, ddof=1
            )
    return {
        "cycle": cycle,
        "shares": shares,
        "log_means": means,
        "log_sds": spreads,
        "log_correlation": _correlation(residuals),
    }


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror or error}); without --data-dir and ATALAIA_DATA_DIR "
            "the panels are simulated"
        ) from error


def _numbers(rows: list[dict[str, str]], columns: tuple[str, ...] | list[str]) -> FloatArray:
    return np.array([[float(row[name]) for name in columns] for row in rows], np.float64)


def _rounded(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values.round(4))


def _correlation(values: FloatArray) -> tuple[tuple[float, ...], ...]:
    """Lower triangle without the diagonal."""
    matrix = np.asarray(np.corrcoef(values.T)).round(3)
    return tuple(tuple(float(value) for value in matrix[row, :row]) for row in range(1, len(matrix)))


def _as_code(figures: dict[str, Any]) -> str:
    return "\n".join(f"{name} = {pformat(value, width=100)}" for name, value in figures.items())


if __name__ == "__main__":
    sys.stdout.write(_as_code(recompute(Path(sys.argv[1]))) + "\n")
