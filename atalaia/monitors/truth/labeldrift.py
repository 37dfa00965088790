"""Drift of the label: whether what is true has become more or less frequent."""

import dataclasses

from atalaia.alerts import Finding
from atalaia.monitors.truth.told import Watch
from atalaia.results import DriftColumn
from atalaia.statistics import verdict
from atalaia.statistics.bins import IntArray
from atalaia.statistics.drift import ColumnTests

COLUMN = "label"


class LabelDrift:
    """The tests of the label against the labels of the reference, once a window is mature.

    ``drifted`` of a column is this window's hit: what persists is the alert.
    """

    def __init__(self, watch: Watch, tests: ColumnTests | None) -> None:
        self.watch = watch
        self._tests = tests

    def columns(self, counts: IntArray) -> list[DriftColumn]:
        """What each test says of the labels of a window."""
        if self._tests is None:
            return []
        rows = int(self._tests.bins.expected.sum())
        window_rows = int(counts[: len(self._tests.bins.expected)].sum())
        judged = verdict.judge(
            self._tests.results(counts), rows=window_rows, reference_rows=rows, rules=self._rules()
        )
        decides = {test.name: test.decides for test in self._tests.tests}
        return [
            DriftColumn(
                column=COLUMN,
                test=finding.test,
                statistic=finding.result.statistic,
                p_value=finding.result.p_value,
                p_adjusted=finding.p_adjusted,
                effect=finding.result.effect,
                n=finding.result.n,
                hit=finding.hit,
                drifted=finding.hit,
                decides=decides[finding.test],
                ratio=finding.result.ratio,
                why=finding.result.why or judged.why,
            )
            for finding in judged.findings
        ]

    def findings(self, columns: list[DriftColumn]) -> list[Finding]:
        """One of the label, where any of its tests decides."""
        deciding = [column for column in columns if column.p_adjusted is not None]
        if not deciding:
            return []
        rules = self._rules()
        hits = [column for column in deciding if column.hit]
        strongest = max(hits or deciding, key=lambda column: column.effect or 0.0)
        evidence = {
            name: getattr(strongest, name)
            for name in ("test", "statistic", "p_value", "p_adjusted", "effect", "n")
        }
        quiet = (strongest.effect or 0.0) < rules.quiet_effect or (strongest.p_value or 0.0) > rules.quiet_p
        return [Finding(self.watch.subject(COLUMN), hit=bool(hits), evidence=evidence, clear=quiet)]

    def _rules(self) -> verdict.Rules:
        drift = self.watch.settings.drift
        return dataclasses.replace(
            verdict.DEFAULT,
            q=drift.q,
            effect=drift.effect,
            ratio=drift.ratio,
            hits=drift.hits,
            among=drift.among,
            quiet_windows=drift.quiet_windows,
            minimum_rows=drift.minimum_window_rows,
            minimum_reference_rows=drift.minimum_reference_rows,
        )
