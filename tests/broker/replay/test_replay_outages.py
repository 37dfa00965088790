"""A replay goes on when broker, scorer or monitor die, and ends what it began when it is stopped."""

import time
from pathlib import Path

import msgspec
import pytest

from atalaia.records import TimeMark
from atalaia.stream.ledger import read_topic
from atalaia.topics import LABELS, REQUESTS

from .conftest import LINE, Replays
from .test_replay_on_kafka import line_rows, marks_of

pytestmark = pytest.mark.broker


# Each in a month of its own: rows of two replays of one time would be in the same windows.
@pytest.mark.parametrize(("name", "month"), [("kafka", 3), ("scorer-0", 4), ("fairness-0", 5)])
def test_one_that_is_killed_is_waited_for_and_every_row_is_counted_once(
    replays: Replays, tmp_path: Path, name: str, month: int
) -> None:
    count = 40_000
    path = line_rows(tmp_path / "rows.csv", count)
    running = replays.start(
        str(path), "--model", LINE, "--target", "sum", "--interval", "1s", "--speed", "5000",
        "--start", f"2026-{month:02d}-01T00:00:00Z",
    )  # fmt: skip
    time.sleep(4.0)
    assert running.poll() is None
    replays.machine.kill(name)
    told = replays.finish(running, seconds=150)
    assert (told["rows"], told["answered"] + told["abstained"], told["failed"]) == (count, count, 0)
    assert told["seconds"] > 4.0
    assert sum(result["n"] for result in told["drift"]) == count
    assert sum(result["labelled"] for result in told["performance"]) == told["answered"]
    report = replays.conserved()
    assert report.pending == 0


def test_interrupted_it_ends_the_replay_where_it_stands(replays: Replays, tmp_path: Path) -> None:
    path = line_rows(tmp_path / "rows.csv", 5_000)
    known = replays_with(replays, "begin")
    running = replays.start(str(path), "--model", LINE, "--target", "sum", "--speed", "1")
    until = time.monotonic() + 30
    while not (begun := replays_with(replays, "at") - known):
        assert running.poll() is None
        assert time.monotonic() < until
        time.sleep(0.5)
    code, err = replays.interrupt(running)
    assert code == 130, err
    [own] = begun
    for topic, partitions in ((REQUESTS, REQUESTS.partitions), (LABELS, 1)):
        ends = [mark for _, mark in marks_of(replays, topic, own) if mark.kind == "end"]
        assert len(ends) == partitions
    told = replays.run(str(line_rows(tmp_path / "more.csv", 50)), "--model", LINE)
    assert told["answered"] + told["abstained"] == 50


def test_a_monitor_that_does_not_run_is_named_and_ends_it_with_1(replays: Replays, tmp_path: Path) -> None:
    machine = replays.machine
    machine.stop("drift-0")
    try:
        path = line_rows(tmp_path / "rows.csv", 50)
        running = replays.start(str(path), "--model", LINE, "--patience", "2s")
        told = replays.finish(running, status=1)
    finally:
        machine.supervisor.wait_ready(machine.add_worker("drift", 0))
    assert told["answered"] + told["abstained"] == 50
    assert told["monitors"] in (
        {"drift": "behind", "fairness": "caught up"},
        {"drift": "not running", "fairness": "caught up"},
    )


def replays_with(replays: Replays, kind: str) -> set[str]:
    """Names of the replays of which there is a mark of a kind."""
    found = set()
    for message in read_topic(replays.machine.settings.kafka, REQUESTS):
        if "mark" in dict(message.headers() or ()):
            mark = msgspec.json.decode(message.value() or b"", type=TimeMark)
            if mark.kind == kind and mark.replay is not None:
                found.add(mark.replay)
    return found
