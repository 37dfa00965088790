"""Replays through a real broker, scorer and monitors: every row accounted for, everything found."""

import csv
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import Message

from atalaia.inference.columns import parse_time
from atalaia.records import Observation, TimeMark
from atalaia.stream.ledger import read_topic
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS, OBSERVATIONS, REQUESTS

from .conftest import LINE, Replays
from .decisions import NAME, rows, write_rows

pytestmark = pytest.mark.broker

HOUR_ROWS = 600
START = "2026-01-31T00:00:00Z"


def line_rows(path: Path, count: int, *, seed: int = 3) -> Path:
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "sex", "age", "sum"])
        for a, b in rng.normal(size=(count, 2)).round(3).tolist():
            writer.writerow([a, b, "F", 41, a + b])
    return path


def marks_of(replays: Replays, topic: Any, replay: str) -> list[tuple[int, TimeMark]]:
    """Partition and content of a replay's marks on a topic, in log order within a partition."""
    found = []
    for message in read_topic(replays.machine.settings.kafka, topic):
        if "mark" in dict(message.headers() or ()):
            mark = msgspec.json.decode(message.value() or b"", type=TimeMark)
            if mark.replay == replay:
                found.append((message.partition() or 0, mark))
    return found


def requests_of(replays: Replays, replay: str) -> list[Message]:
    return [
        message
        for message in read_topic(replays.machine.settings.kafka, REQUESTS)
        if (message.key() or b"").startswith(replay.encode())
    ]


def test_an_outside_decision_is_replayed_and_watched_and_its_drift_and_unfairness_found(
    replays: Replays, tmp_path: Path
) -> None:
    hours, changes = 9, 5
    table = write_rows(
        tmp_path / "rows.csv", list(rows(hours * HOUR_ROWS, seed=2, from_row=changes * HOUR_ROWS))
    )
    page = tmp_path / "page.html"
    told = replays.run(
        str(table), "--model", NAME, "--target", "paid", "--label-delay", "10m", "--interval", "6s",
        "--start", START, "--report", str(page),
    )  # fmt: skip
    assert (told["rows"], told["failed"]) == (hours * HOUR_ROWS, 0)
    assert told["answered"] + told["abstained"] == told["rows"]
    assert told["monitors"] == {"drift": "caught up", "fairness": "caught up"}
    windows = [f"2026-01-31T{hour:02d}:00:00.000Z" for hour in range(hours)]
    for name in ("drift", "performance", "fairness"):
        assert [result["window"]["start"] for result in told[name]] == windows, name
    assert sum(result["n"] for result in told["drift"]) == told["rows"]
    assert sum(result["labelled"] for result in told["performance"]) == told["answered"]
    drifted = [
        {column["column"] for column in result["columns"] if column["drifted"]} for result in told["drift"]
    ]
    assert not any(drifted[:changes]), drifted
    assert any("amount" in columns for columns in drifted[changes:]), drifted
    accuracies = [result["metrics"]["accuracy"] for result in told["performance"]]
    assert all(accuracy == pytest.approx(0.9, abs=0.05) for accuracy in accuracies)
    hit = [any(gap["hit"] for gap in result["gaps"]) for result in told["fairness"]]
    assert not any(hit[:changes])
    assert all(hit[changes:-1])
    fired = {(event["monitor"], event["status"]) for event in told["alerts"]}
    assert {("drift", "firing"), ("fairness", "firing")} <= fired
    first = min(parse_time(event["since"]) for event in told["alerts"] if event["status"] == "firing")
    assert first >= parse_time(windows[changes])
    html = page.read_text()
    assert "loans 1" in html
    assert "amount" in html
    replays.conserved()


def test_marks_lie_on_every_partition_and_labels_never_behind_theirs(
    replays: Replays, tmp_path: Path
) -> None:
    count, delay_ms, interval_ms = 25_000, 90_000, 1_000
    told = replays.run(
        str(line_rows(tmp_path / "rows.csv", count)), "--model", LINE, "--target", "sum",
        "--label-delay", "90s", "--start", START, "--interval", "1s",
    )  # fmt: skip
    start_ms = parse_time(START)
    by_partition: dict[int, list[TimeMark]] = {p: [] for p in range(REQUESTS.partitions)}
    for partition, mark in marks_of(replays, REQUESTS, told["replay"]):
        by_partition[partition].append(mark)
    for marks in by_partition.values():
        assert [mark.kind for mark in marks] == ["begin", *["at"] * (len(marks) - 2), "end"]
        assert len(marks) >= 2 + 4
        assert [mark.time_ms for mark in marks] == sorted(mark.time_ms for mark in marks)
        assert (marks[0].time_ms, marks[0].partitions) == (start_ms, REQUESTS.partitions)
        assert marks[-1].time_ms == start_ms + (count - 1) * interval_ms
    own = partition_of(LINE, LABELS.partitions)
    marked_ms, labelled = -1, 0
    for message in read_topic(replays.machine.settings.kafka, LABELS):
        if message.partition() != own or message.key() != LINE.encode():
            continue
        body = msgspec.json.decode(message.value() or b"")
        if body.get("replay") == told["replay"]:
            assert body["time_ms"] >= marked_ms
            marked_ms = body["time_ms"]
        elif "ids" in body and body["ids"][0].startswith(told["replay"]):
            times = [parse_time(time) for time in body["times"]]
            assert times == sorted(times)
            assert times[0] > marked_ms or marked_ms == start_ms, (
                "a label behind a mark that promised there is none"
            )
            labelled += len(times)
    assert labelled == count
    assert marked_ms == start_ms + (count - 1) * interval_ms + delay_ms


def test_rows_are_in_the_order_of_their_time_on_each_partition_and_spread_over_all(
    replays: Replays, tmp_path: Path
) -> None:
    told = replays.run(str(line_rows(tmp_path / "rows.csv", 4_000)), "--model", LINE, "--interval", "250ms")
    written: dict[int, list[int]] = {}
    for message in requests_of(replays, told["replay"]):
        first = int((message.key() or b"").decode().rpartition("-")[2])
        written.setdefault(message.partition() or 0, []).append(first)
    assert set(written) == set(range(REQUESTS.partitions))
    assert all(firsts == sorted(firsts) for firsts in written.values())
    end_ms = parse_time(told["end"])
    assert abs(time.time() * 1000 - end_ms) < 60_000
    times: list[int] = []
    for message in read_topic(replays.machine.settings.kafka, OBSERVATIONS):
        observation = msgspec.json.decode(message.value() or b"", type=Observation)
        for model in observation.models:
            row = 0
            for name, count in zip(model.id, model.rows.numpy().tolist(), strict=True):
                if name.startswith(told["replay"]):
                    times += model.event_time_ms.numpy()[row : row + count].tolist()
                row += count
    assert sorted(times) == [end_ms - 250 * back for back in range(3_999, -1, -1)]


def test_rows_that_cannot_be_read_fail_alone_and_are_named(replays: Replays, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    good = ["1.5,3,red", ",2,green"] * 60
    bad = {17: "x,3,red", 50: "1.5,2.5,red", 51: "1.5,3,blue", 119: "1e300,3,red"}
    lines = [bad.get(row, line) for row, line in enumerate(good)]
    path.write_text("\n".join(["income,children,colour", *lines, ""]))
    told = replays.run(str(path), "--model", "loan")
    assert (told["rows"], told["failed"]) == (120, 4)
    assert told["answered"] + told["abstained"] == 116
    assert [(entry["row"], entry["rows"], entry["reason"]) for entry in told["failures"]] == [
        (row + 1, 1, "invalid_input") for row in bad
    ]
    assert "income" in told["failures"][0]["detail"]
    replays.conserved()


def test_ids_of_the_file_are_the_requests_own(replays: Replays, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,a,b\n" + "".join(f"patient-{row},0.5,0.25\n" for row in range(30)))
    told = replays.run(str(path), "--model", LINE)
    assert (told["rows"], told["answered"]) == (30, 30)
    keys = [message.key() for message in read_topic(replays.machine.settings.kafka, REQUESTS)]
    assert {f"patient-{row}".encode() for row in range(30)} <= set(keys)


def test_at_a_speed_rows_come_when_they_are_due(replays: Replays, tmp_path: Path) -> None:
    path = line_rows(tmp_path / "rows.csv", 31)
    told = replays.run(str(path), "--model", LINE, "--interval", "1s", "--speed", "10")
    assert told["rows"] == 31
    assert 3.0 <= told["seconds"] < 6.0


def test_a_table_or_model_that_does_not_fit_is_said_and_nothing_is_sent(
    replays: Replays, tmp_path: Path
) -> None:
    path = line_rows(tmp_path / "rows.csv", 3)
    for arguments, status, said in (
        (("--model", "loan"), 2, "no column 'income', 'children', 'colour'"),
        (("--model", LINE, "--target", "truth"), 2, "no column 'truth'"),
        (("--model", "nobody"), 1, "models deployed: line, loan, loans"),
    ):
        running = replays.start(str(path), *arguments)
        _, err = running.communicate(timeout=60)
        assert running.returncode == status
        assert said in " ".join(err.replace("│", " ").split()), err
