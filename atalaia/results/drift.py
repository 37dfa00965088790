"""What the topic `drift` holds."""

import msgspec

from atalaia.records import Time
from atalaia.results.base import Result, ResultWindow


class Range(msgspec.Struct, frozen=True, omit_defaults=True):
    """Values that became more or less frequent: numbers from ``low`` to ``high``, open where left out, or one
    category; their shares of the window and of the reference.
    """  # fmt: skip

    share: float
    reference_share: float
    low: float | None = None
    high: float | None = None
    category: str | float | None = None


class DriftColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one column.

    ``n`` counts the rows of the window that took part. ``hit`` is this window's, ``drifted`` what persists.
    ``decides`` is False of tests that are published only. ``why`` says what keeps it without a p-value.
    ``since`` is the start of the first pane of the change, ``grew`` and ``shrank`` where in the column's
    range it is; they are there once it is a hit. ``earlier`` is the window it is held against where that is
    not the training reference.
    """

    column: str
    test: str
    statistic: float | None
    p_value: float | None
    p_adjusted: float | None
    effect: float | None
    n: int
    hit: bool
    drifted: bool
    decides: bool
    ratio: float | None = None
    why: str | None = None
    since: Time | None = None
    grew: Range | None = None
    shrank: Range | None = None
    earlier: ResultWindow | None = None


class DetectorResult(msgspec.Struct, frozen=True, kw_only=True):
    """A change that a sequential detector found in this window: at which row's time, and since when."""

    detector: str
    column: str
    at: Time
    since: Time
    rows: int


class JudgedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The consecutive windows that were judged as one, of which this is the last; its ``hits`` by column."""

    window: ResultWindow
    n: int
    hits: list[str]
    why: str | None = None


class DriftResult(Result, frozen=True, kw_only=True):
    """Drift of the inputs and answers of a version.

    ``n`` counts rows, abstained ones included. ``drifted`` says whether any column is. ``why`` there is no
    verdict. ``late_rows`` and ``ahead_rows`` were counted since the model is watched and are in no window.
    """

    n: int
    drifted: bool
    columns: list[DriftColumn]
    against_earlier: list[DriftColumn]
    detectors: list[DetectorResult]
    judged: JudgedRun | None = None
    why: str | None = None
    late_rows: int = 0
    ahead_rows: int = 0
