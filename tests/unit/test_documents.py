"""Pages whose code is executed as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

from atalaia.statistics import drift

DOCS = Path(__file__).parents[2] / "docs"


def _blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_adding_a_drift_test_adds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "TESTS", dict(drift.TESTS))
    names: dict[str, Any] = {"__name__": "adding_a_drift_test"}
    blocks = _blocks("adding-a-drift-test.md")
    assert len(blocks) == 5
    for place, block in enumerate(blocks):
        exec(compile(block, f"adding-a-drift-test.md, block {place + 1}", "exec"), names)  # noqa: S102
    assert "cvm" in drift.TESTS
    assert names["CramerVonMises"].compare.__doc__
