"""Sinks on a real Kafka: each event once, over kills; a dead end; silence; what fired before the start."""

import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from atalaia.alerts import Acknowledgement, AlertEvent, Silence, SilenceRecord
from tests.broker.alerts.conftest import Service
from tests.unit.alerts_service.events import event, resolved
from tests.unit.alerts_service.receiver import receiving

pytestmark = pytest.mark.broker


def numbered(first: int, count: int) -> list[AlertEvent]:
    return [event(id=f"e{n}", fingerprint=f"f{n}") for n in range(first, first + count)]


def test_a_webhook_gets_each_event_once_over_kills(service: Service) -> None:
    """A kill between an answer and the stored position makes one post more, under the same key."""
    service.write(*numbered(-5, 5))  # before it is first started: nobody is called for these
    service.start()
    rng, kills, events = random.Random(3), 3, numbered(0, 120)
    for start in range(0, 120, 30):
        batch = events[start : start + 30]
        service.write(*batch, *rng.sample(batch, 5))  # a worker that publishes some of them again
        if start < 30 * kills:
            time.sleep(rng.random() * 0.2)
            service.supervisor.kill(service.name)
    expected = [entry.id for entry in events]
    service.wait_for(lambda: len(set(service.taken())) == 120, what="all events taken")
    time.sleep(0.5)
    taken = service.taken()
    assert list(dict.fromkeys(taken)) == expected
    assert sum(count - 1 for count in Counter(taken).values()) <= kills
    assert all(post.headers["idempotency-key"] == f'"{post.body["id"]}"' for post in service.receiver.posts)
    assert service.letters() == []


def test_what_an_endpoint_never_takes_is_a_dead_letter_and_delays_no_other_sink(service: Service) -> None:
    service.receiver.always = 503
    with receiving() as manager:
        service.start(alertmanager_url=manager.url, sink_attempts=3, breaker_failures=2, breaker_pause=0.5)
        lost = numbered(0, 2)
        service.write(*lost)
        service.wait_for(lambda: len(manager.taken) == 2, what="the Alertmanager told", timeout_seconds=5)
        service.wait_for(lambda: len(service.letters()) == 2, what="dead letters")
        assert len(service.receiver.posts) == 6
        for letter, entry in zip(service.letters(), lost, strict=True):
            headers = dict(letter.headers() or ())
            assert letter.value() == msgspec.json.encode(entry)
            assert letter.key() == entry.fingerprint.encode()
            assert (headers["reason"], headers["sink"]) == (b"undeliverable", b"webhook")
            assert b"503" in (headers["detail"] or b"")
        assert 'atalaia_alerts_sink_breaker_open{sink="webhook"} 1.0' in service.metrics() or (
            'atalaia_alerts_sink_breaker_open{sink="webhook"} 0.5' in service.metrics()
        )
        service.receiver.always = 200
        service.write(*numbered(2, 1))
        service.wait_for(lambda: service.taken() == ["e2"], what="the next event taken")


def test_silenced_alerts_reach_neither_webhook_nor_alertmanager(service: Service) -> None:
    now = datetime.now(UTC)
    ends = (now + timedelta(hours=1)).isoformat()
    silence = Silence("s1", now.isoformat(), ends, "ana", fingerprint="f0")
    service.write_record("s1", SilenceRecord(silence=silence))
    seen = Acknowledgement("a1", "f1", event().since, "bo", now.isoformat())
    service.write_record("a1", SilenceRecord(acknowledgement=seen))
    with receiving() as manager:
        service.start(alertmanager_url=manager.url, repeat_interval=0.5)
        service.write(*numbered(0, 2), resolved(id="e9", fingerprint="f7"))
        service.wait_for(lambda: service.taken() == ["e1", "e9"], what="the others taken")
        assert service.receiver.taken[0]["acknowledged_by"] == ["bo"]
        service.wait_for(lambda: len(manager.taken) >= 3, what="told again")
        told = {alert["labels"]["fingerprint"] for alerts in manager.taken for alert in alerts}
        assert told == {"f1"}
        service.write_record("s1", None)
        service.wait_for(
            lambda: {alert["labels"]["fingerprint"] for alert in manager.taken[-1]} == {"f0", "f1"},
            what="the silence over",
        )
    assert "e0" not in service.taken()


def test_an_alertmanager_is_told_of_what_fired_before_the_first_start(service: Service) -> None:
    service.write(*numbered(0, 2), resolved(id="e9", fingerprint="f0"))
    with receiving() as manager:
        service.start(alertmanager_url=manager.url)
        service.wait_for(lambda: bool(manager.taken), what="told")
        assert [alert["labels"]["fingerprint"] for alert in manager.taken[0]] == ["f1"]
    assert service.receiver.posts == []


def test_a_service_told_to_end_does_so_at_once(service: Service) -> None:
    service.start()
    began = time.monotonic()
    service.supervisor.stop(service.name)
    assert time.monotonic() - began < 4.0
