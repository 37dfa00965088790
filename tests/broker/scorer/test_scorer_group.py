"""Scorers as static members of their group: a crash disturbs nobody else, a stop is a departure."""

import json
import time
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from atalaia.runtime.machine import Machine
from tests.broker.scorer.test_scorer_outages import partitions_of, wait_until

pytestmark = pytest.mark.broker

SESSION_SECONDS = 6.0
ASSIGNED = "partitions assigned"


@pytest.fixture
def second(machine: Machine) -> Iterator[str]:
    name = machine.add_scorer(1)
    machine.supervisor.wait_ready(name)
    wait_until(lambda: partitions_of(machine) == {"scorer": 2, name: 2}, what="two partitions each")
    yield name
    if name in machine.supervisor.names:
        machine.stop(name)


def members(machine: Machine) -> set[str]:
    """Who is in the group, by what stays the same over a restart."""
    admin = AdminClient({"bootstrap.servers": machine.settings.kafka.bootstrap_servers or "", "log_level": 0})
    group = f"{machine.settings.kafka.topic_prefix}scorer"
    found = admin.describe_consumer_groups([group])[group].result(10)
    return {member.group_instance_id for member in found.members}


def assignments(machine: Machine, name: str) -> list[dict[str, int]]:
    """The partitions a scorer said it was given, each time."""
    lines = (machine.state_dir / "logs" / f"{name}.log").read_text().splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return [entry["partitions"] for entry in told if entry["event"] == ASSIGNED]


def test_a_crashed_scorer_takes_its_partitions_back_and_the_other_does_not_notice(
    machine: Machine, second: str
) -> None:
    own, others = assignments(machine, second)[-1].keys(), assignments(machine, "scorer-0")
    before = members(machine)
    machine.kill(second)
    machine.supervisor.wait_ready(second, timeout_seconds=30)
    wait_until(lambda: partitions_of(machine) == {"scorer": 2, second: 2}, what="two partitions each again")
    assert assignments(machine, second)[-1].keys() == own
    assert assignments(machine, "scorer-0") == others
    assert members(machine) == before
    assert len(before) == 2


def test_a_stopped_scorer_is_out_of_the_group_before_it_ends(machine: Machine, second: str) -> None:
    assert len(members(machine)) == 2
    machine.stop(second)
    stopped = time.monotonic()
    left = members(machine)
    assert time.monotonic() - stopped < SESSION_SECONDS / 2, "else its session could have ended meanwhile"
    assert left == {f"{machine.settings.kafka.topic_prefix}scorer-0"}
    wait_until(lambda: partitions_of(machine) == {"scorer": 4}, what="all partitions with the other")
