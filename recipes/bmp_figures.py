"""Figures the simulated metabolic panels are drawn from, and how they were computed.

Panels: adults (18 and over) of NHANES 2015-2016, 5,385 of them, Centers for Disease Control and Prevention,
public domain. By sex and age band: share, and mean and SD of the logarithm of each analyte; correlation of
the logarithms within the groups. Deltas: SD and correlation of log(current / prior) over 119 pairs of
consecutive inpatient panels. Fluids: composition as on their labels.

The figures below are what this prints, given the files::

    python -m recipes.bmp_figures DATA_DIR
"""

import csv
import gzip
import sys
from pathlib import Path
from pprint import pformat
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ANALYTES = ("sodium", "chloride", "potassium_plas", "co2_totl", "bun", "creatinine", "calcium", "glucose")
UNITS = ("mmol/L", "mmol/L", "mmol/L", "mmol/L", "mg/dL", "mg/dL", "mg/dL", "mg/dL")
DECIMALS = (0, 0, 1, 0, 0, 2, 1, 0)
"""As laboratories report them."""
AGE_BANDS = (30.0, 50.0, 70.0)
YOUNGEST, OLDEST = 18, 85

FLUIDS: dict[str, tuple[float, ...]] = {
    "NS": (154, 154, 0, 0, 0, 0, 0, 0),
    "LR": (130, 109, 4, 0, 0, 0, 5.4, 0),
    "D5NS": (154, 154, 0, 0, 0, 0, 0, 5000),
    "D5LR": (130, 109, 4, 0, 0, 0, 5.4, 5000),
    "D5W": (0, 0, 0, 0, 0, 0, 0, 5000),
    "D5halfNSwK": (77, 97, 20, 0, 0, 0, 0, 5000),
    "D5halfNS": (77, 77, 0, 0, 0, 0, 0, 5000),
    "halfNS": (77, 77, 0, 0, 0, 0, 0, 0),
    "Water": (0, 0, 0, 0, 0, 0, 0, 0),
}
"""Intravenous fluids in the units of `ANALYTES` (normal saline, lactated Ringer's, dextrose 5 %, ...)."""

SHARES = {
    ("F", 0): 0.1047,
    ("F", 1): 0.1723,
    ("F", 2): 0.1634,
    ("F", 3): 0.0763,
    ("M", 0): 0.099,
    ("M", 1): 0.1497,
    ("M", 2): 0.1571,
    ("M", 3): 0.0774,
}
"""Of each sex and age band (below 30, 30 to 49, 50 to 69, 70 and above)."""
LOG_MEANS = {
    ("F", 0): (4.9285, 4.6476, 1.3468, 3.1397, 2.3592, -0.41, 2.228, 4.4705),
    ("F", 1): (4.9272, 4.644, 1.3405, 3.158, 2.4361, -0.3891, 2.2188, 4.5476),
    ("F", 2): (4.9346, 4.6349, 1.3581, 3.2121, 2.6591, -0.2921, 2.2409, 4.6585),
    ("F", 3): (4.9338, 4.6296, 1.3843, 3.2227, 2.8687, -0.1314, 2.2429, 4.6665),
    ("M", 0): (4.9343, 4.6327, 1.3709, 3.2136, 2.5696, -0.0933, 2.2549, 4.4969),
    ("M", 1): (4.9336, 4.6349, 1.3729, 3.2039, 2.6094, -0.0679, 2.2371, 4.5759),
    ("M", 2): (4.9311, 4.6328, 1.3868, 3.2002, 2.7174, -0.0397, 2.2316, 4.6968),
    ("M", 3): (4.9331, 4.6312, 1.4076, 3.212, 2.8774, 0.0938, 2.2308, 4.7079),
}
"""Of the natural logarithm of each analyte."""
LOG_SDS = {
    ("F", 0): (0.0134, 0.0225, 0.0735, 0.0848, 0.3409, 0.248, 0.0343, 0.1716),
    ("F", 1): (0.0133, 0.0252, 0.072, 0.0889, 0.3017, 0.2154, 0.0341, 0.2286),
    ("F", 2): (0.016, 0.0288, 0.0897, 0.0896, 0.3261, 0.2869, 0.0371, 0.3162),
    ("F", 3): (0.0176, 0.0338, 0.0995, 0.0919, 0.3631, 0.3124, 0.0436, 0.2704),
    ("M", 0): (0.0123, 0.0224, 0.0708, 0.0777, 0.2861, 0.1778, 0.0306, 0.1723),
    ("M", 1): (0.0137, 0.0255, 0.0734, 0.0836, 0.2874, 0.2076, 0.0341, 0.2578),
    ("M", 2): (0.0166, 0.0304, 0.0921, 0.0927, 0.3358, 0.287, 0.0372, 0.3262),
    ("M", 3): (0.0215, 0.0357, 0.0961, 0.0991, 0.3909, 0.2993, 0.0372, 0.3034),
}
LOG_CORRELATION = (
    (0.518,),
    (-0.036, 0.052),
    (0.276, -0.336, -0.041),
    (-0.02, -0.031, 0.125, -0.084),
    (0.043, -0.019, 0.153, -0.028, 0.344),
    (0.087, -0.221, 0.131, 0.14, 0.008, 0.079),
    (-0.211, -0.174, 0.075, -0.079, 0.062, -0.016, 0.023),
)
"""Within groups; lower triangle."""
RATIO_SDS = (0.0185, 0.0295, 0.1208, 0.0877, 0.2185, 0.142, 0.0411, 0.322)
"""Of log(current / prior)."""
RATIO_CORRELATION = (
    (0.732,),
    (-0.119, 0.139),
    (-0.021, -0.186, -0.217),
    (-0.032, 0.023, 0.025, -0.133),
    (0.025, 0.053, 0.08, -0.067, 0.668),
    (0.001, -0.271, 0.13, 0.133, -0.05, -0.055),
    (-0.03, -0.059, 0.045, -0.206, 0.147, 0.148, 0.022),
)


def recompute(data_dir: Path) -> dict[str, Any]:
    """The figures above, from the files."""
    groups, logs = _adults(data_dir / "nhanes/nhanes_bmp_2001_2018.csv.gz")
    shares, means, spreads = {}, {}, {}
    residuals = np.empty_like(logs)
    for group in sorted(set(groups)):
        members = np.array([other == group for other in groups])
        shares[group] = round(float(members.mean()), 4)
        means[group] = _rounded(logs[members].mean(axis=0))
        spreads[group] = _rounded(logs[members].std(axis=0, ddof=1))
        residuals[members] = (logs[members] - logs[members].mean(axis=0)) / logs[members].std(axis=0, ddof=1)
    ratios = _log_ratios(data_dir / "bmp/bmp_self_test_first119.csv")
    return {
        "SHARES": shares,
        "LOG_MEANS": means,
        "LOG_SDS": spreads,
        "LOG_CORRELATION": _correlation(residuals),
        "RATIO_SDS": _rounded(ratios.std(axis=0, ddof=1)),
        "RATIO_CORRELATION": _correlation(ratios),
    }


def _adults(path: Path) -> tuple[list[tuple[str, int]], FloatArray]:
    columns = ("sodium", "chloride", "potassium", "co2", "bun", "creatinine", "calcium", "glucose")
    with gzip.open(path, "rt") as file:
        people = [
            row
            for row in csv.DictReader(file)
            if row["cycle"] == "2015-2016"
            and float(row["age"]) >= YOUNGEST
            and all(row[name] for name in columns)
        ]
    bands = np.searchsorted(AGE_BANDS, [float(row["age"]) for row in people], side="right")
    groups = [(row["sex"], int(band)) for row, band in zip(people, bands, strict=True)]
    return groups, np.log([[float(row[name]) for name in columns] for row in people])


def _log_ratios(path: Path) -> FloatArray:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    now = np.array([[float(row[name]) for name in ANALYTES] for row in rows])
    before = np.array([[float(row[f"{name}_prior"]) for name in ANALYTES] for row in rows])
    ratios: FloatArray = np.log(now / before)
    return ratios


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
