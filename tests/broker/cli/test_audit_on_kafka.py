"""``atalaia audit`` against the real broker: silent on a log as promised, loud on one that is not."""

import msgspec
import orjson
import pytest
from confluent_kafka import Producer

from atalaia.errors import NotReadable
from atalaia.inference.responses import error_response
from atalaia.records import Observation, SourceRange
from atalaia.settings import load
from atalaia.stream.admin import create_topics
from atalaia.stream.clients import producer
from atalaia.stream.deadletters import dead_letter_headers
from tests.broker.cli.conftest import Shell

pytestmark = pytest.mark.broker


class Writer:
    """Writes a log by hand: one request that was refused, and all that follows from it."""

    def __init__(self) -> None:
        self._kafka = load().kafka
        create_topics(self._kafka)
        self._producer: Producer = producer(self._kafka)

    def refused_request(self) -> None:
        refusal = NotReadable("not JSON")
        self.write("requests", b"garbage")
        headers = dead_letter_headers(topic=self._named("requests"), partition=0, offset=0, refusal=refusal)
        self._producer.produce(self._named("dead-letters"), key=b"a", value=b"garbage", headers=headers)
        self.prediction()
        ranges = [SourceRange(0, 0, 1, 1_700_000_000_000, at_end=True)]
        for partition in range(4):
            observation = msgspec.json.encode(Observation("scorer", ranges, []))
            self._producer.produce(self._named("observations"), value=observation, partition=partition)
        self._producer.flush()

    def prediction(self) -> None:
        value = error_response(
            request_id="a", refusal=NotReadable("not JSON"), model_name=None, model_version=None
        )
        self.write("predictions", value)

    def write(self, topic: str, value: bytes) -> None:
        self._producer.produce(self._named(topic), key=b"a", value=value, partition=0)
        self._producer.flush()

    def _named(self, topic: str) -> str:
        return self._kafka.topic_prefix + topic


def test_a_log_as_promised_has_no_difference_and_ends_with_0(shell: Shell) -> None:
    Writer().refused_request()
    told = shell.json("audit")
    assert told["ok"]
    assert (told["positions"], told["predictions"], told["pending"]) == (1, 1, 0)
    assert told["outcomes"] == {"failed": 1}
    assert told["differences"] == []


def test_a_prediction_too_many_is_named_and_ends_with_1(shell: Shell) -> None:
    writer = Writer()
    writer.refused_request()
    writer.prediction()
    assert shell.run("audit", "--json").status == 1
    told = orjson.loads(shell.out.splitlines()[-1])
    assert told["found"] == {"answered_twice": 1}
    assert told["differences"][0]["kind"] == "answered_twice"
    assert "answered_twice" in shell.err


def test_a_request_without_an_answer_yet_is_pending_and_no_difference(shell: Shell) -> None:
    writer = Writer()
    writer.refused_request()
    writer.write("requests", b"more")
    told = shell.json("audit")
    assert told["ok"]
    assert told["pending"] == 1


def test_without_kafka_it_says_which_setting_to_give(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATALAIA_KAFKA__BOOTSTRAP_SERVERS")
    assert shell.run("audit").status == 1
    assert "ATALAIA_KAFKA__BOOTSTRAP_SERVERS" in shell.err
