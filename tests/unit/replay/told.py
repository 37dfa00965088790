"""What monitors say of a replay, by hand: six hours in which one column drifts and a group fares worse."""

from typing import Any

import msgspec
import numpy as np

from atalaia.alerts import AlertEvent, fingerprint, rfc3339
from atalaia.alerts.events import Monitor, Status
from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.replay.outcome import Failure, Outcome
from atalaia.replay.shapes import Shape
from atalaia.results import (
    Cut,
    DetectorResult,
    DriftColumn,
    DriftResult,
    FairnessGap,
    FairnessGroup,
    FairnessResult,
    PerformanceResult,
    Range,
    Result,
    ResultWindow,
)

HOUR_MS = 3_600_000
START_MS = 1_769_860_800_000
HOURS = 6
COLUMNS = ("sodium", "potassium", "chloride", "creatinine", "score", "class")
NASTY = "<b>& 'x\"</script>"
GROUPS = (({"sex": "F"}, 0.11), ({"sex": "M"}, 0.16), ({"sex": NASTY, "age": "[30, 50)"}, 0.2))

MANIFEST = Manifest(
    name="panel",
    version="2",
    task="classification",
    model=ModelFile(inputs="tensor", probabilities="p"),
    features=(Feature("sodium", unit="mmol/L"), Feature("potassium"), Feature("chloride"), Feature(NASTY)),
    context=(ContextColumn("sex"),),
    classes=(0, 1),
    description="Contamination of basic metabolic panels.",
)


def common(hour: int, **more: Any) -> dict[str, Any]:
    window = ResultWindow(rfc3339(START_MS + hour * HOUR_MS), rfc3339(START_MS + (hour + 1) * HOUR_MS))
    return {
        "model": "panel",
        "version": "2",
        "role": "primary",
        "window": window,
        "revision": 1,
        "provisional": hour == HOURS - 1,
        "cut": Cut(0, 100 + hour, 50 + hour),
        "bundle": "sha256:c0ffee",
        "configuration": "0123456789abcdef",
        **more,
    }


def record(result: Result | AlertEvent) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(result))
    return told


def drift(hour: int, columns: tuple[str, ...] = COLUMNS) -> dict[str, Any]:
    rng = np.random.default_rng(hour)
    told = []
    for name in columns:
        moved = name in ("sodium", NASTY) and hour >= 3
        effect = 0.21 if moved else 0.01 + 0.03 * float(rng.random())
        p = 1e-30 if moved else float(rng.random())
        told.append(
            DriftColumn(
                column=name,
                test="chi2" if name == "class" else "ks",
                statistic=effect,
                p_value=p,
                p_adjusted=min(1.0, p * len(columns)),
                effect=effect,
                n=3_600,
                hit=moved,
                drifted=moved and hour >= 4,
                decides=True,
                since=rfc3339(START_MS + 3 * HOUR_MS) if moved else None,
                grew=Range(share=0.4, reference_share=0.2, low=140.5) if moved else None,
                shrank=Range(share=0.1, reference_share=0.3, high=136.0) if moved else None,
            )
        )
        told.append(
            DriftColumn(
                column=name, test="psi", statistic=0.01, p_value=None, p_adjusted=None, effect=None, n=3_600,
                hit=False, drifted=False, decides=False, why="published only",
            )
        )  # fmt: skip
    found = DetectorResult(
        detector="adwin", column="applicability", at=rfc3339(START_MS), since=rfc3339(START_MS), rows=32
    )
    return record(
        DriftResult(
            **common(hour),
            n=3_600,
            drifted=hour >= 4,
            columns=told,
            against_earlier=[],
            detectors=[found] if hour == 3 else [],
        )
    )


def performance(hour: int, *, undefined: bool = False) -> dict[str, Any]:
    accuracy = None if undefined else 0.94 - 0.02 * max(0, hour - 2)
    return record(
        PerformanceResult(
            **common(hour),
            n=3_600,
            labelled=0 if undefined else 3_500 - 400 * hour,
            metrics={"accuracy": accuracy, "f1_macro": accuracy, "log_loss": None if undefined else 0.3},
            reference={"accuracy": 0.945, "f1_macro": 0.93, "log_loss": 0.28},
            coverage=None if undefined else (3_500 - 400 * hour) / 3_600,
            coverage_by_class=[0.9, 0.8],
            delay={"p50": 1.0},
            confusion_matrix=[[1_500, 100], [80, 1_200]],
            classes=[0, 1],
            weighted={"accuracy": accuracy},
            judgements=[],
            drift=[],
            detectors=[],
        )
    )


def fairness(hour: int) -> dict[str, Any]:
    groups = [
        FairnessGroup(
            group=group,
            n=1_800,
            labelled=1_500,
            tp=100,
            fp=80,
            tn=1_200,
            fn=120,
            flag_rate=rate,
            tpr=0.5,
            tnr=0.9,
            fpr=0.1,
            fnr=0.5,
            ppv=0.6,
            npv=None,
            accuracy=0.87,
            prevalence=0.15,
            abstention_rate=0.01,
            intervals={"flag_rate": (rate - 0.02, rate + 0.03), "tpr": (0.4, 0.6), "npv": None},
            biased=[],
            weighted={},
        )
        for group, rate in GROUPS
    ]  # fmt: skip
    gaps = [
        FairnessGap(metric="flag_rate_ratio", attribute="sex", value=0.69, low=0.6, high=0.79,
                    between=["F", "M"], level=0.999, supported=True, judged=True, hit=hour >= 2),
        FairnessGap(metric="tpr_difference", attribute="sex", value=-0.04, low=-0.1, high=0.03,
                    between=["F", "M"], supported=True, judged=True),
        FairnessGap(metric="fpr_difference", attribute="sex x age", value=None, low=None, high=None,
                    between=[NASTY, "M"]),
        FairnessGap(metric="ppv_difference", attribute="sex", value=0.05, low=None, high=None,
                    between=["F", NASTY]),
    ]  # fmt: skip
    told = FairnessResult(**common(hour), n=3_600, labelled=3_000, groups=groups, gaps=gaps, errors=[])
    return record(told)


def alert(
    status: Status, subject: str, hour: int, *, until: int | None = None, monitor: Monitor = "drift"
) -> dict[str, Any]:
    return record(
        AlertEvent(
            id=f"{status}{subject}{hour}",
            fingerprint=fingerprint("panel", "2", monitor, subject),
            status=status,
            severity="warning",
            model="panel",
            version="2",
            monitor=monitor,
            subject=subject,
            since=rfc3339(START_MS + hour * HOUR_MS),
            until=None if until is None else rfc3339(START_MS + until * HOUR_MS),
            evidence={},
            reason=None if until is None else "clear",
        )
    )


def outcome(**more: Any) -> Outcome:
    """All of it."""
    fields: dict[str, Any] = {
        "replay": "f" * 32,
        "model": "panel",
        "version": "2",
        "start": rfc3339(START_MS),
        "end": rfc3339(START_MS + HOURS * HOUR_MS - 1),
        "rows": 21_600,
        "answered": 21_500,
        "abstained": 98,
        "failed": 2,
        "seconds": 0.5,
        "rows_per_second": 43_200.0,
        "failures": [Failure(17, 1, "invalid_input", f"sodium: {NASTY}, expected a number")],
        "monitors": {"drift": "caught up", "fairness": "caught up"},
        "drift": [drift(hour, (*COLUMNS, NASTY)) for hour in range(HOURS)],
        "performance": [performance(hour, undefined=hour == 4) for hour in range(HOURS)],
        "fairness": [fairness(hour) for hour in range(HOURS)],
        "alerts": [
            alert("pending", "sodium", 3),
            alert("firing", "sodium", 3),
            alert("pending", "flag_rate_ratio sex F/M", 2, monitor="fairness"),
            alert("firing", "flag_rate_ratio sex F/M", 2, monitor="fairness"),
            alert("resolved", "flag_rate_ratio sex F/M", 2, until=5, monitor="fairness"),
            alert("pending", NASTY, 4),
        ],
    }
    return Outcome(**(fields | more))


def shapes() -> list[Shape]:
    """Distributions of all columns."""
    edges = np.linspace(120, 160, 41)
    middle = (edges[1:] + edges[:-1]) / 2
    bell = np.exp(-(((middle - 138) / 4) ** 2) / 2)
    moved = np.exp(-(((middle - 141) / 4) ** 2) / 2)
    drawn = [
        Shape(
            name,
            (moved / moved.sum()).tolist() if name == "sodium" else (bell / bell.sum()).tolist(),
            (bell / bell.sum()).tolist(),
            edges=edges.tolist(),
            unit="mmol/L" if name == "sodium" else None,
            rows=21_600,
        )
        for name in ("sodium", "potassium", "chloride", "creatinine", "score")
    ]
    drawn.append(Shape("class", [0.8, 0.2], [0.7, 0.3], names=["0", "1"], rows=21_500))
    drawn.append(Shape(NASTY, [0.5, 0.5, 0.0], [0.4, 0.5, 0.1], names=["a", NASTY, "missing"], rows=21_600))
    return drawn
