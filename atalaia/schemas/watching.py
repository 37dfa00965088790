"""Example messages of what goes to the monitors beside observations, and of what they say."""

from collections.abc import Iterator

import msgspec

from atalaia.alerts import (
    Acknowledgement,
    AlertEvent,
    AlertFold,
    Finding,
    Rule,
    Silence,
    SilenceRecord,
    rfc3339,
)
from atalaia.records import Label, LabelColumns, TimeMark
from atalaia.results import (
    Cut,
    DetectorResult,
    DriftColumn,
    DriftResult,
    FairnessGap,
    FairnessGroup,
    FairnessResult,
    JudgedRun,
    PerformanceResult,
    Range,
    ResultWindow,
)
from atalaia.windows import Window

_HOUR_MS = 3_600_000
_NOON_MS = 1_769_860_800_000
_DAY = ResultWindow(rfc3339(_NOON_MS - 12 * _HOUR_MS), rfc3339(_NOON_MS + 12 * _HOUR_MS))
_HOUR = ResultWindow(rfc3339(_NOON_MS - _HOUR_MS), rfc3339(_NOON_MS))
_BUNDLE, _CONFIGURATION = "sha256:" + "5f" * 32, "0c7d51aa30f2e6b1"
_ID = "0b9c7a52-6d1e-4a51-9a4b-3f0f6c1d2e01"


def monitor_examples() -> Iterator[tuple[str, str, bytes]]:
    """Topic, variant (empty for the plain case) and value of every example."""
    known = rfc3339(_NOON_MS + _HOUR_MS)
    yield "labels", "", _json(Label(_ID, "ill", time=known, context={"sex": "female"}))
    yield "labels", "list", _json([Label(_ID, "ill", time=known), Label(_ID, "healthy", row=1, time=known)])
    columns = LabelColumns([_ID, _ID], ["ill", "healthy"], rows=[0, 1], times=[known, known])
    yield "labels", "columns", _json(columns)
    yield "labels", "mark-of-time", _json(TimeMark("clock", _NOON_MS))
    yield "drift", "", _json(_drift())
    yield "performance", "", _json(_performance())
    yield "fairness", "", _json(_fairness())
    pending, firing = _alerts()
    yield "alerts", "pending", _json(pending)
    yield "alerts", "", _json(firing)
    silence = Silence("7d0c", rfc3339(_NOON_MS), rfc3339(_NOON_MS + 2 * _HOUR_MS), "ana", "new analyser",
                      model="bmp", monitor="drift")  # fmt: skip
    yield "silences", "", _json(SilenceRecord(silence=silence))
    seen = Acknowledgement(
        "a41f", firing.fingerprint, firing.since, "ana", rfc3339(_NOON_MS), "looking at it"
    )
    yield "silences", "acknowledgement", _json(SilenceRecord(acknowledgement=seen))


def _alerts() -> list[AlertEvent]:
    """Two windows in a row that are hit: pending, then firing."""
    fold = AlertFold(model="bmp", version="1", monitor="drift", rule=Rule(hits=2, of=3, clear=3))
    evidence = {"effect": 0.31, "p_adjusted": 0.0004, "test": "ks"}
    windows = [Window(_NOON_MS - (hours + 1) * _HOUR_MS, _NOON_MS - hours * _HOUR_MS) for hours in (1, 0)]
    findings = [Finding("sodium", hit=True, evidence=evidence)]
    return [event for window in windows for event in fold.judge(window, findings)]


def _drift() -> DriftResult:
    sodium = DriftColumn(
        column="sodium",
        test="ks",
        statistic=0.31,
        p_value=0.0001,
        p_adjusted=0.0004,
        effect=0.31,
        n=1_812,
        hit=True,
        drifted=True,
        decides=True,
        since=rfc3339(_NOON_MS - _HOUR_MS),
        grew=Range(share=0.42, reference_share=0.11, low=144.0),
        shrank=Range(share=0.2, reference_share=0.5, low=136.0, high=140.0),
    )
    glucose = DriftColumn(
        column="glucose",
        test="ks",
        statistic=0.02,
        p_value=0.61,
        p_adjusted=0.61,
        effect=0.02,
        n=1_812,
        hit=False,
        drifted=False,
        decides=True,
    )
    detector = DetectorResult(
        detector="adwin", column="applicability", at=_HOUR.end, since=_HOUR.start, rows=640
    )
    return DriftResult(
        model="bmp",
        version="1",
        role="primary",
        window=_HOUR,
        revision=1,
        provisional=False,
        cut=Cut(1, 90_210),
        bundle=_BUNDLE,
        configuration=_CONFIGURATION,
        n=1_812,
        drifted=True,
        columns=[sodium, glucose],
        against_earlier=[],
        detectors=[detector],
        judged=JudgedRun(window=_HOUR, n=1_812, hits=["sodium"]),
    )


def _performance() -> PerformanceResult:
    return PerformanceResult(
        model="bmp",
        version="1",
        role="primary",
        window=_DAY,
        revision=3,
        provisional=True,
        cut=Cut(1, 90_210, 18_004),
        bundle=_BUNDLE,
        configuration=_CONFIGURATION,
        n=20_000,
        labelled=12_400,
        metrics={"accuracy": 0.97, "f1": 0.91, "roc_auc": 0.98, "log_loss": None},
        reference={"accuracy": 0.98, "f1": 0.93, "roc_auc": 0.99, "log_loss": 0.08},
        abstained=210,
        coverage=0.62,
        coverage_by_class=[0.61, 0.68],
        delay={"p50": 3_600.0, "p95": 7_200.0},
        confusion_matrix=[[10_900, 150], [220, 1_130]],
        classes=["healthy", "ill"],
        weighted={"accuracy": 0.969},
        judgements=[],
        drift=[],
        detectors=[],
    )


def _fairness() -> FairnessResult:
    gap = FairnessGap(
        metric="equal_opportunity",
        attribute="sex",
        value=0.13,
        low=0.06,
        high=0.2,
        between=["female", "male"],
        level=0.95,
        supported=True,
        judged=True,
        hit=True,
    )
    return FairnessResult(
        model="bmp",
        version="1",
        role="primary",
        window=_DAY,
        revision=1,
        provisional=False,
        cut=Cut(1, 90_210, 18_004),
        bundle=_BUNDLE,
        configuration=_CONFIGURATION,
        n=20_000,
        labelled=12_400,
        groups=[
            _group("female", tp=400, fp=80, tn=5_600, fn=120),
            _group("male", tp=730, fp=70, tn=5_300, fn=100),
        ],
        gaps=[gap],
        errors=[],
    )


def _group(sex: str, *, tp: int, fp: int, tn: int, fn: int) -> FairnessGroup:
    labelled = tp + fp + tn + fn
    return FairnessGroup(
        group={"sex": sex},
        n=labelled + 1_000,
        labelled=labelled,
        tp=tp,
        fp=fp,
        tn=tn,
        fn=fn,
        flag_rate=(tp + fp) / labelled,
        tpr=tp / (tp + fn),
        tnr=tn / (tn + fp),
        fpr=fp / (tn + fp),
        fnr=fn / (tp + fn),
        ppv=tp / (tp + fp),
        npv=tn / (tn + fn),
        accuracy=(tp + tn) / labelled,
        prevalence=(tp + fn) / labelled,
        abstention_rate=0.0,
        intervals={"tpr": None},
        biased=[],
        weighted={},
    )


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
