"""A machine of real Kafka and real Redis: killed, restarted, stopped."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from atalaia.runtime.machine import Machine
from atalaia.runtime.ports import free_port
from atalaia.runtime.probes import answers_kafka, answers_redis
from atalaia.runtime.redis import find_programs, server
from atalaia.runtime.supervisor import Supervisor
from atalaia.settings import KafkaSettings, RedisSettings, Settings

pytestmark = pytest.mark.broker

QUIET = {"log_level": 0}


def machine(folder: Path) -> Machine:
    settings = Settings(kafka=KafkaSettings(port=0, controller_port=0), redis=RedisSettings(port=0))
    return Machine(settings, folder, services=())


def write(servers: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": servers, "acks": "all", **QUIET})
    producer.produce("kept", value)
    assert producer.flush(20) == 0


def read(servers: str, count: int) -> list[bytes | None]:
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "reader", "auto.offset.reset": "earliest", **QUIET}
    )
    with contextlib.closing(consumer):
        consumer.subscribe(["kept"])
        return [message.value() for message in consumer.consume(count, timeout=20)]


@contextlib.contextmanager
def redis_client(url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        yield client


def test_kafka_and_redis_come_back_on_the_same_ports_and_data_and_end_with_the_machine(
    tmp_path: Path,
) -> None:
    with machine(tmp_path) as running:
        addresses = running.addresses
        admin = AdminClient({"bootstrap.servers": addresses.kafka, **QUIET})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
        write(addresses.kafka, b"before the kill")
        with redis_client(addresses.redis) as client:
            client.set("kept", "before the kill")

        former = {name: running.kill(name) for name in ("kafka", "redis")}
        running.supervisor.wait_ready(timeout_seconds=30)

        assert running.addresses == addresses
        assert all(running.pid(name) not in {None, pid} for name, pid in former.items())
        assert {name: running.restarts(name) for name in former} == {"kafka": 1, "redis": 1}
        assert "kafka.Kafka" in psutil.Process(running.pid("kafka")).cmdline()
        write(addresses.kafka, b"after the kill")
        with redis_client(addresses.redis) as client:
            assert client.get("kept") == b"before the kill"
        pids = [running.pid("kafka") or 0, running.pid("redis") or 0]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not answers_redis(addresses.redis)

    with machine(tmp_path) as again:
        assert read(again.addresses.kafka, 2) == [b"before the kill", b"after the kill"]
        with redis_client(again.addresses.redis) as client:
            assert client.get("kept") == b"before the kill"


def test_an_append_only_file_cut_inside_a_transaction_is_mended_before_the_start(tmp_path: Path) -> None:
    whole = (("SELECT", "0"), ("SET", "whole", "1"), ("MULTI",), ("SET", "half", "1"))
    file = tmp_path / "appendonly.aof"
    file.write_bytes(b"".join(_command(*words) for words in whole) + b"*3\r\n$3\r\nSET\r\n$4\r\nfen")
    port = free_port()
    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start(server(find_programs(), folder=tmp_path, port=port))
        with redis_client(f"redis://127.0.0.1:{port}/0") as client:
            assert client.keys() == [b"whole"]


def test_the_shared_broker_and_redis_have_the_settings_the_protocol_needs(kafka: str, redis_url: str) -> None:
    resource = ConfigResource(ResourceType.BROKER, "1")
    admin = AdminClient({"bootstrap.servers": kafka, **QUIET})
    described = admin.describe_configs([resource])[resource].result(20)
    told = {name: entry.value for name, entry in described.items()}
    assert told["auto.create.topics.enable"] == "false"
    assert told["transaction.abort.timed.out.transaction.cleanup.interval.ms"] == "1000"
    assert int(told["group.min.session.timeout.ms"]) <= 6_000
    with redis_client(redis_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("aof-load-truncated") == {"aof-load-truncated": "no"}


def test_the_probes_tell_what_answers_from_what_does_not(kafka: str, redis_url: str) -> None:
    assert answers_kafka(kafka, timeout_seconds=10)
    assert answers_redis(redis_url)
    assert not answers_kafka("127.0.0.1:1", timeout_seconds=0.1)
    assert not answers_redis("redis://127.0.0.1:1/0")


def _command(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
