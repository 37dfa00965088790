"""Scorers killed, stopped and frozen, the broker killed: how soon replies come again, and nothing lost."""

import contextlib
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from atalaia.conservation import Report, examine
from atalaia.runtime.machine import Machine
from atalaia.stream.ledger import read_facts
from atalaia.topics import REQUESTS
from tests.conftest import Say

from .log import Log, row

pytestmark = pytest.mark.broker

REPLIES_AFTER_KILL_SECONDS = 10.0
PREDICTIONS_AFTER_KILL_SECONDS = 15.0
REPLIES_AFTER_STOP_SECONDS = 1.0
BACKLOG = 2_000


@pytest.fixture
def second(machine: Machine) -> Iterator[str]:
    """The name of a second scorer, with half of the partitions."""
    name = machine.add_scorer(1)
    machine.supervisor.wait_ready(name)
    wait_until(lambda: partitions_of(machine) == {"scorer": 2, name: 2}, what="two partitions each")
    yield name
    if name in machine.supervisor.names:
        machine.stop(name)


def partitions_of(machine: Machine) -> dict[str, int]:
    """How many partitions each scorer that answers owns."""
    owned = {}
    for name, url in machine.addresses.metrics.items():
        with contextlib.suppress(httpx.TransportError):
            for line in httpx.get(url, timeout=2.0).text.splitlines():
                if line.startswith("atalaia_scorer_partitions "):
                    owned[name] = int(float(line.split()[1]))
    return owned


def wait_until(happened: Callable[[], bool], *, what: str, seconds: float = 40.0) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, f"{what} did not come within {seconds} s"
        time.sleep(0.05)


def ask_all_partitions(log: Log) -> list[bytes]:
    """Keys of one request on each partition, whose replies are waited for."""
    keys = [uuid.uuid4().hex.encode() for _ in range(REQUESTS.partitions)]
    for partition, key in enumerate(keys):
        log.write(row(0.5, 0.5), key=key, partition=partition, headers={"reply": b"7"})
    return keys


def seconds_until_all(log: Log, began: float, keys: list[bytes], *, seconds: float) -> tuple[float, float]:
    """Seconds from ``began`` until every key had its reply, and its committed prediction."""
    log.wait(lambda: all(log.replies[key] for key in keys) or None, what="all replies", seconds=seconds)
    replied = time.monotonic() - began
    for key in keys:
        log.prediction(key, seconds=seconds)
    return replied, time.monotonic() - began


def conserved(machine: Machine) -> Report:
    """The report on the log once nothing is pending."""
    found: list[Report] = []

    def nothing_pending() -> bool:
        found.append(examine(read_facts(machine.settings.kafka)))
        return found[-1].pending == 0 or not found[-1].ok

    wait_until(nothing_pending, what="the end of the backlog")
    assert found[-1].ok, found[-1].differences
    return found[-1]


def test_behind_a_killed_scorer_another_answers(machine: Machine, log: Log, second: str, say: Say) -> None:
    pid = machine.pid(second)
    assert pid is not None
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    machine.stop(second, grace_seconds=0)  # or it would be started again
    keys = ask_all_partitions(log)
    replied, committed = seconds_until_all(log, began, keys, seconds=30)
    say(f"\nscorer killed, another running: replies after {replied:.1f} s, committed after {committed:.1f} s")
    assert replied < REPLIES_AFTER_KILL_SECONDS
    assert committed < PREDICTIONS_AFTER_KILL_SECONDS
    conserved(machine)


def test_behind_a_killed_scorer_that_is_started_again_it_goes_on(
    machine: Machine, log: Log, say: Say
) -> None:
    began = time.monotonic()
    machine.kill("scorer-0")
    keys = ask_all_partitions(log)
    replied, committed = seconds_until_all(log, began, keys, seconds=30)
    say(f"\nthe only scorer killed: replies after {replied:.1f} s, committed after {committed:.1f} s")
    assert replied < REPLIES_AFTER_KILL_SECONDS
    assert committed < PREDICTIONS_AFTER_KILL_SECONDS


def test_behind_a_stopped_scorer_another_answers_within_a_second(
    machine: Machine, log: Log, second: str, say: Say
) -> None:
    stopping = threading.Thread(target=machine.stop, args=(second,))
    began = time.monotonic()
    stopping.start()
    keys = ask_all_partitions(log)
    replied, committed = seconds_until_all(log, began, keys, seconds=30)
    stopping.join()
    say(
        f"\nscorer stopped, another running: replies after {replied:.2f} s, committed after {committed:.2f} s"
    )
    assert replied < REPLIES_AFTER_STOP_SECONDS
    assert committed < PREDICTIONS_AFTER_KILL_SECONDS


def test_a_frozen_scorer_that_wakes_after_its_session_commits_nothing_twice(
    machine: Machine, log: Log, second: str, say: Say
) -> None:
    pid, restarts = machine.pid(second), machine.restarts(second)
    assert pid is not None
    journal = machine.state_dir / "logs" / f"{second}.log"
    assigned = journal.read_text().count("partitions assigned")
    flood(log)
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        keys = ask_all_partitions(log)
        replied, committed = seconds_until_all(log, began, keys, seconds=40)
    finally:
        os.kill(pid, signal.SIGCONT)
    say(f"\nscorer frozen, another running: replies after {replied:.1f} s, committed after {committed:.1f} s")

    def noticed() -> bool:
        text = journal.read_text()
        return (
            machine.restarts(second) > restarts
            or "transaction aborted" in text
            or text.count("partitions assigned") > assigned
        )

    wait_until(noticed, what="the zombie learning that it is one")
    flood(log)
    report = conserved(machine)
    say(f"after the zombie: {report.positions} requests, {report.predictions} predictions")


def test_a_killed_broker_is_waited_for_and_nothing_is_lost(machine: Machine, log: Log, say: Say) -> None:
    flood(log)
    began = time.monotonic()
    machine.kill("kafka")
    keys = ask_all_partitions(log)
    replied, committed = seconds_until_all(log, began, keys, seconds=60)
    say(f"\nbroker killed: replies after {replied:.1f} s, committed after {committed:.1f} s")
    conserved(machine)


def flood(log: Log) -> None:
    """Requests enough that something is under way when what follows happens."""
    log.write(*[row(0.5, 0.5, name=uuid.uuid4().hex) for _ in range(BACKLOG)])
