"""Which rows make a new reference, and how ``--window`` is read."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from atalaia.alerts import rfc3339
from atalaia.bundles.folder import Bundle
from atalaia.cli.rebaselining import NoRows, last_windows, read_window
from atalaia.results import Cut, DriftResult, ResultWindow
from atalaia.windows import Window

BUNDLE = cast("Bundle", SimpleNamespace(name="m", version="1"))


def result(start: int, n: int, *, size: int = 10, **given: Any) -> DriftResult:
    members: dict[str, Any] = {"model": "m", "version": "1", "role": "primary", "provisional": False} | given
    return DriftResult(
        window=ResultWindow(rfc3339(start), rfc3339(start + size)),
        revision=0,
        cut=Cut(0, 1),
        bundle="d",
        configuration="c",
        n=n,
        drifted=False,
        columns=[],
        against_earlier=[],
        detectors=[],
        **members,
    )


def test_the_last_windows_that_hold_enough_rows() -> None:
    results = [result(0, 600), result(10, 500), result(20, 600), result(20, 700)]
    assert last_windows(results, BUNDLE, rows=700) == Window(20, 30)
    assert last_windows(results, BUNDLE, rows=1000) == Window(10, 30)
    with pytest.raises(NoRows, match="hold 1,800 rows"):
        last_windows(results, BUNDLE, rows=1801)


def test_provisional_windows_other_versions_and_roles_take_no_part() -> None:
    others = [
        result(30, 900, provisional=True), result(30, 900, version="2"), result(30, 900, role="shadow")
    ]  # fmt: skip
    assert last_windows([result(0, 600), *others], BUNDLE, rows=500) == Window(0, 10)


def test_rows_of_overlapping_windows_count_once() -> None:
    results = [result(start, 300, size=20) for start in (0, 10, 20, 30)]
    assert last_windows(results, BUNDLE, rows=600) == Window(10, 50)
    with pytest.raises(NoRows):
        last_windows(results, BUNDLE, rows=700)


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-01T00:00:00Z", "a/b", "2026-01-01/2026-01-02", "2026-01-02T00:00Z/2026-01-01T00:00Z"],
)
def test_windows_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"START/END|zone|ends before|Invalid"):
        read_window(text)
