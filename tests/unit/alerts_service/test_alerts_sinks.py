"""Sinks against a real HTTP server that fails, recovers and hangs."""

import io
import json
import time
from collections.abc import Iterator

import msgspec
import pytest

from atalaia.alerts import Acknowledgement, Silence, SilenceRecord
from atalaia.errors import SettingsError
from atalaia.settings import AlertsServiceSettings
from services.alerts.errors import NotDelivered
from services.alerts.posting import Endpoint
from services.alerts.recorded import take_record
from services.alerts.sinks import SINKS, make_sinks
from services.alerts.sinks.alertmanager import AlertmanagerSink
from services.alerts.sinks.log import LogSink
from services.alerts.sinks.webhook import WebhookSink
from tests.unit.alerts_service.events import event, resolved, shown
from tests.unit.alerts_service.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def endpoint(url: str, *, timeout_seconds: float = 5.0) -> Endpoint:
    return Endpoint(url, timeout_seconds=timeout_seconds, setting="X")


class TestEndpoint:
    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_any_success_will_do(self, receiver: Receiver, status: int) -> None:
        receiver.statuses = [status]
        endpoint(receiver.url + "/hook?key=1").post(b"{}", {"X-Extra": "yes"})
        [post] = receiver.posts
        assert (post.path, post.body) == ("/hook?key=1", {})
        assert post.headers["content-type"] == "application/json"
        assert post.headers["x-extra"] == "yes"

    @pytest.mark.parametrize(
        ("status", "again"),
        [(500, True), (503, True), (429, True), (408, True), (400, False), (404, False), (302, False)],
    )
    def test_a_status_says_whether_another_attempt_may_help(
        self, receiver: Receiver, status: int, again: bool
    ) -> None:
        receiver.statuses = [status]
        with pytest.raises(NotDelivered, match=str(status)) as raised:
            endpoint(receiver.url).post(b"{}", {})
        assert raised.value.again is again
        assert len(receiver.posts) == 1

    def test_one_that_hangs_is_given_up_in_time_and_may_recover(self, receiver: Receiver) -> None:
        receiver.statuses = [0]
        patient = endpoint(receiver.url, timeout_seconds=0.2)
        began = time.monotonic()
        with pytest.raises(NotDelivered, match="does not answer") as raised:
            patient.post(b"{}", {})
        assert time.monotonic() - began < 5
        assert raised.value.again
        patient.post(b"{}", {})
        assert len(receiver.taken) == 1

    def test_nobody_there(self) -> None:
        with receiving() as gone:
            url = gone.url
        with pytest.raises(NotDelivered, match="does not answer") as raised:
            endpoint(url + "/secret").post(b"{}", {})
        assert raised.value.again
        assert "secret" not in str(raised.value)

    @pytest.mark.parametrize("url", ["", "localhost:80/x", "file:///etc/passwd", "http://", "ftp://host/x"])
    def test_only_http(self, url: str) -> None:
        with pytest.raises(SettingsError, match="X is no URL"):
            endpoint(url)


class TestLog:
    def test_a_line_an_event_and_who_silenced_it(self) -> None:
        stream = io.BytesIO()
        sink = LogSink(stream)
        assert sink.take(shown(event())) == "delivered"
        assert sink.take(shown(resolved(), silenced=True, by=("ana",))) == "delivered"
        first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert (first["alert"]["id"], first["silenced"], first["acknowledged_by"]) == ("e1", False, [])
        assert (second["alert"]["reason"], second["silenced"]) == ("clear", True)
        assert second["acknowledged_by"] == ["ana"]


class TestWebhook:
    def test_posts_the_event_under_its_id(self, receiver: Receiver) -> None:
        sink = WebhookSink(endpoint(receiver.url))
        assert sink.take(shown(event(status="pending"))) == "delivered"
        assert sink.take(shown(event(), by=("ana", "bo"))) == "delivered"
        first, second = receiver.posts
        assert first.headers["idempotency-key"] == '"e1"'
        assert (first.body["status"], first.body["evidence"]) == ("pending", {"windows": [{"p": 0.001}]})
        assert "acknowledged_by" not in first.body
        assert second.body["acknowledged_by"] == ["ana", "bo"]

    def test_what_is_silenced_is_kept_back(self, receiver: Receiver) -> None:
        sink = WebhookSink(endpoint(receiver.url))
        assert sink.take(shown(event(), silenced=True)) == "silenced"
        assert receiver.posts == []


class TestAlertmanager:
    @pytest.fixture
    def clock(self) -> list[float]:
        return [0.0]

    @pytest.fixture
    def sink(self, receiver: Receiver, clock: list[float]) -> AlertmanagerSink:
        sink = AlertmanagerSink(endpoint(receiver.url), repeat_seconds=60, now=lambda: clock[0])
        sink.repeat(shown)
        return sink

    def test_what_fires_and_is_resolved(self, sink: AlertmanagerSink, receiver: Receiver) -> None:
        assert sink.take(shown(event(status="pending"))) == "unneeded"
        assert sink.take(shown(event(), by=("ana",))) == "delivered"
        assert sink.take(shown(resolved())) == "delivered"
        [[fires], [ends]] = receiver.taken
        assert fires["labels"] == {
            "alertname": "AtalaiaDrift",
            "model": "bmp",
            "version": "2",
            "monitor": "drift",
            "subject": "sodium",
            "severity": "warning",
            "fingerprint": "f1",
        }
        assert fires["startsAt"] == "2026-01-31T12:00:00.000Z"
        assert "endsAt" not in fires
        assert fires["annotations"]["acknowledged_by"] == "ana"
        assert fires["annotations"]["summary"] == "drift of bmp 2: sodium, since 2026-01-31T12:00:00.000Z"
        assert (ends["labels"], ends["startsAt"]) == (fires["labels"], fires["startsAt"])
        assert ends["endsAt"] == "2026-01-31T15:00:00.000Z"

    def test_the_end_of_what_was_never_told_is_none_of_its(
        self, sink: AlertmanagerSink, receiver: Receiver
    ) -> None:
        assert sink.take(shown(event(status="pending"))) == "unneeded"
        assert sink.take(shown(resolved(reason="lapsed"))) == "unneeded"
        assert receiver.posts == []

    def test_an_end_is_offered_again_after_a_failure(
        self, sink: AlertmanagerSink, receiver: Receiver
    ) -> None:
        sink.take(shown(event()))
        receiver.statuses = [503]
        with pytest.raises(NotDelivered):
            sink.take(shown(resolved()))
        assert sink.take(shown(resolved())) == "delivered"
        assert [alert["labels"]["subject"] for [alert] in receiver.taken] == ["sodium", "sodium"]

    def test_what_fires_is_told_again_in_one_post(
        self, sink: AlertmanagerSink, receiver: Receiver, clock: list[float]
    ) -> None:
        for name in ("f1", "f2", "f3"):
            sink.take(shown(event(fingerprint=name)))
        sink.take(shown(resolved(fingerprint="f2")))
        receiver.posts.clear()
        clock[0] = 59.9
        sink.repeat(shown)
        assert receiver.posts == []
        clock[0] = 60.0
        sink.repeat(lambda alert: shown(alert, silenced=alert.fingerprint == "f3"))
        sink.repeat(shown)
        [told] = receiver.taken
        assert [alert["labels"]["fingerprint"] for alert in told] == ["f1"]
        clock[0] = 120.0
        sink.repeat(shown)  # the silence is over
        assert [alert["labels"]["fingerprint"] for alert in receiver.taken[1]] == ["f1", "f3"]

    def test_an_earlier_life_is_recalled(self, receiver: Receiver) -> None:
        sink = AlertmanagerSink(endpoint(receiver.url), repeat_seconds=60, now=lambda: 0.0)
        for alert in (event(), event(fingerprint="f2"), resolved(fingerprint="f2")):
            sink.recall(alert)
        sink.repeat(shown)
        [[told]] = receiver.taken
        assert told["labels"]["fingerprint"] == "f1"
        assert sink.take(shown(resolved())) == "delivered"

    def test_an_end_is_never_before_the_beginning(self, sink: AlertmanagerSink, receiver: Receiver) -> None:
        sink.take(shown(event()))
        sink.take(shown(resolved(until="2026-01-31T11:00:00.000Z")))
        [ends] = receiver.taken[1]
        assert ends["endsAt"] == ends["startsAt"]


class TestRegistry:
    def test_every_sink_is_registered_under_its_name(self) -> None:
        settings = AlertsServiceSettings(webhook_url="http://a/b", alertmanager_url="http://c/")
        assert (
            [sink.name for sink in make_sinks(settings)] == list(SINKS) == ["log", "webhook", "alertmanager"]
        )

    def test_those_without_settings_are_left_out(self) -> None:
        assert make_sinks(AlertsServiceSettings(log=False)) == []

    def test_a_url_that_is_none_names_its_setting(self) -> None:
        with pytest.raises(SettingsError, match="ATALAIA_ALERTS__WEBHOOK_URL"):
            make_sinks(AlertsServiceSettings(webhook_url="nowhere"))

    def test_an_alertmanager_is_told_by_its_api(self, receiver: Receiver) -> None:
        settings = AlertsServiceSettings(log=False, alertmanager_url=receiver.url + "/am/")
        [sink] = make_sinks(settings)
        sink.take(shown(event()))
        assert receiver.posts[0].path == "/am/api/v2/alerts"


def test_records_of_people_replace_each_other_and_are_taken_back() -> None:
    records: dict[str, SilenceRecord] = {}
    silence = SilenceRecord(silence=Silence("s", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "ana"))
    seen = SilenceRecord(acknowledgement=Acknowledgement("a", "f1", "s", "bo", "2026-01-01T00:00:00Z"))
    take_record(records, "s", msgspec.json.encode(silence))
    take_record(records, "a", msgspec.json.encode(seen))
    take_record(records, "x", b"{")
    assert records == {"s": silence, "a": seen}
    take_record(records, "s", None)
    assert records == {"a": seen}
