"""What benches say of their figures."""

import io
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import failover, gateway, memory
from bench.__main__ import BENCHES, judged, main
from bench.limits import LIMITS, Limit
from bench.report import tables
from tests.unit.bench.loads import one_load

ROOT = Path(__file__).parents[3]
MEMBERS = {"bench", "ours", "beside", "ratio", "cpu_seconds"}


def runs(*, with_mlserver: bool = True) -> gateway.Runs:
    taken: gateway.Runs = {
        ("ours", "1"): [one_load(900, p50_ms=ms) for ms in (0.9, 1.9, 1.1)],
        ("ours", "64"): [one_load(rate) for rate in (4_000, 3_000, 2_000)],
        ("noop", "64"): [one_load(20_000, processes=["noop"])] * 3,
    }
    if with_mlserver:
        taken["mlserver", "64"] = [one_load(rate, processes=["mlserver"]) for rate in (2_000, 1_000, 2_000)]
    return taken


def said(answer: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    tables(answer, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_gateway_is_compared_in_pairs() -> None:
    answer = judged(gateway.summary(runs()))
    assert answer.keys() >= MEMBERS
    assert (answer["ours"], answer["ratio"], answer["ratios"]) == (3_000, 2.0, [2.0, 3.0, 1.0])
    assert answer["beside"]["mlserver"] == 2_000
    assert answer["beside"]["ours_p50_ms_at_1"] == 1.1
    assert [limit["met"] for limit in answer["limits"]] == [True, True]
    assert answer["figures"]["ours_at_64"]["cpu_ms_per_request"] == {"gateway": pytest.approx(5 / 30)}


def test_a_peer_that_is_not_installed_is_absent_and_no_error() -> None:
    answer = judged(gateway.summary(runs(with_mlserver=False)))
    assert (answer["absent"], answer["beside"]["mlserver"], answer["ratio"]) == (["mlserver"], None, None)
    assert [limit["met"] for limit in answer["limits"]] == [True, None]
    text = said(answer)
    assert "mlserver is absent" in text
    assert "make bench-peers" in text
    assert re.search(r"MLServer's +│ at least 1.5 +│ absent +│ not measured", text)


ROWS = [0, 500_000, 1_000_000, 1_500_000, 2_000_000]


@pytest.mark.parametrize(
    ("scorer", "met"),
    [
        ([100.0, 140.0, 145.0, 146.0, 145.0], [True, True, True, True]),
        ([100.0, 140.0, 151.0, 151.0, 151.0], [True, False, True, True]),
        ([100.0, 120.0, 140.0, 160.0, 180.0], [True, True, True, False]),
    ],
)
def test_memory_must_be_small_after_a_million_rows_and_flat_from_then_on(
    scorer: list[float], met: list[bool]
) -> None:
    samples = {"gateway": [80.0, 85.0, 86.0, 86.0, 86.0], "scorer": scorer}
    answer = judged(memory.summary(ROWS, samples, cpu_seconds=1.0))
    assert answer.keys() >= MEMBERS
    assert [limit["met"] for limit in answer["limits"]][:4] == met
    assert answer["ours"] == scorer[2]
    assert said(answer).count("missed") == met.count(False)


def test_memory_measured_too_shortly_says_nothing() -> None:
    with pytest.raises(ValueError, match="too few"):
        memory.summary(ROWS[:4], {"gateway": [1.0] * 4}, cpu_seconds=1.0)


def test_silence_counts_from_the_signal() -> None:
    # Before the signal a pause of 5 s, after it one of 0.5 s until the first arrival.
    assert failover.longest_silence([1.0, 6.0, 6.25], since=5.5) == 0.5
    assert failover.longest_silence([1.0, 2.0], since=2.5) == float("inf")


def test_a_figure_that_was_not_measured_meets_nothing_and_misses_nothing() -> None:
    limit = Limit("deep", "beside.inner.figure", "at most", 1.0)
    assert limit.figure({"beside": {"inner": {"figure": 3}}}) == 3.0
    assert limit.figure({"beside": {"inner": None}}) is None
    assert limit.figure({}) is None


def test_every_bench_is_measured_limited_and_described() -> None:
    assert BENCHES.keys() == LIMITS.keys()
    document = (ROOT / "docs/benchmarks.md").read_text()
    for name in BENCHES:
        assert callable(import_module(f"bench.{name}").measure)
        assert f"## {name}" in document


def test_an_unknown_bench_is_wrong_usage_that_names_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nothing"])
    assert ended.value.code == 2
    said_of_it = capsys.readouterr().err
    assert [name for name in BENCHES if name not in said_of_it] == []
