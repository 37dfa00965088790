"""Requests that retention deletes before they are answered are said to be lost, and the rest is answered."""

import uuid
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from atalaia.conservation import examine
from atalaia.runtime.machine import Machine
from atalaia.stream.admin import create_topics
from atalaia.stream.clients import connection
from atalaia.stream.deploy import deploy
from atalaia.stream.ledger import read_facts
from atalaia.topics import REQUESTS
from tests.broker.gateway import processes

from .log import Log, output, row
from .models import line_bundle

pytestmark = pytest.mark.broker

PARTITION = 1


def test_what_was_deleted_unanswered_is_a_dead_letter_and_no_silent_jump(
    machine: Machine, tmp_path: Path
) -> None:
    prefix = f"lost{uuid.uuid4().hex[:6]}."
    settings = machine.settings.model_copy(
        update={"kafka": machine.settings.kafka.model_copy(update={"topic_prefix": prefix})}
    )
    create_topics(settings.kafka)
    deploy(line_bundle(tmp_path / "line", "line").folder, settings=settings)
    environment = {
        "ATALAIA_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers or "",
        "ATALAIA_KAFKA__TOPIC_PREFIX": prefix,
    }
    keys = [uuid.uuid4().hex.encode() for _ in range(8)]
    with Log(settings.kafka) as log:
        with processes.scorer(tmp_path / "first", environment):
            for key in keys[:3]:
                log.write(row(0.5, 0.5), key=key, partition=PARTITION)
            for key in keys[:3]:
                log.prediction(key)
        positions = [log.write(row(0.5, 0.5), key=key, partition=PARTITION)[0] for key in keys[3:]]
        deleted_up_to = positions[2][1]
        admin = AdminClient(connection(settings.kafka))
        place = TopicPartition(prefix + REQUESTS.name, PARTITION, deleted_up_to)
        for future in admin.delete_records([place]).values():
            future.result(10)
        with processes.scorer(tmp_path / "second", environment):
            for key in keys[5:]:
                assert output(log.prediction(key), "value") == [1.0]
            letter = log.dead_letter(positions[0])
        assert letter["reason"] == "lost_by_retention"
        assert f"{positions[0][1]} to {deleted_up_to - 1}" in letter["detail"]
        assert not [key for key in keys[3:5] if log.predictions[key]]
        report = examine(read_facts(settings.kafka))
        assert report.ok, report.differences
        assert (report.lost_by_retention, report.pending) == (1, 0)
