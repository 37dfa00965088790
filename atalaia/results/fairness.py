"""What the topic `fairness` holds."""

from typing import Any

import msgspec

from atalaia.results.base import Result


class FairnessGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One group of rows, as `atalaia.statistics.group_rates.Group` computes it."""

    group: dict[str, str]
    n: int
    labelled: int
    abstained: int = 0
    tp: int = 0
    fp: int = 0
    tn: int = 0
    fn: int = 0
    flag_rate: float | None
    tpr: float | None
    tnr: float | None
    fpr: float | None
    fnr: float | None
    ppv: float | None
    npv: float | None
    accuracy: float | None
    prevalence: float | None
    abstention_rate: float | None
    intervals: dict[str, tuple[float, float] | None]
    biased: list[str]
    weighted: dict[str, float | None]


class FairnessGap(msgspec.Struct, frozen=True, kw_only=True):
    """How a rate differs between two groups, as `atalaia.statistics.gaps.Gap` computes it."""

    metric: str
    attribute: str
    value: float | None
    low: float | None
    high: float | None
    between: list[str]
    level: float | None = None
    supported: bool = False
    biased: bool = False
    judged: bool = False
    hit: bool = False


class FairnessResult(Result, frozen=True, kw_only=True):
    """What groups of rows are given in a window, and how that compares.

    ``errors`` are those of a regressor by group, where no favourable threshold is declared.
    """

    n: int
    labelled: int
    groups: list[FairnessGroup]
    gaps: list[FairnessGap]
    errors: list[dict[str, Any]]
    why: str | None = None
