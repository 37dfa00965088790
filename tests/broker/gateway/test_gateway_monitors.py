"""What the monitors publish, served over HTTP; silences and acknowledgements, written and read back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from atalaia.alerts import AlertFold, Finding, Rule, SilenceRecord, rfc3339
from atalaia.results import Cut, DriftResult, ResultWindow
from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.clients import producer
from atalaia.stream.deploy import deploy
from atalaia.stream.logs import LogReader
from atalaia.topics import ALERTS, DRIFT, SILENCES, Topic
from atalaia.windows import Window
from tests.broker.gateway import processes
from tests.broker.gateway.conftest import environment_of

pytestmark = pytest.mark.broker

HOUR_MS = 3_600_000


def drift(hour: int, cut: int, *, version: str = "1", n: int = 1) -> bytes:
    return msgspec.json.encode(
        DriftResult(
            model="panel",
            version=version,
            role="primary",
            window=ResultWindow(rfc3339(hour * HOUR_MS), rfc3339((hour + 1) * HOUR_MS)),
            revision=cut,
            provisional=False,
            cut=Cut(1, cut),
            bundle="sha256:0",
            configuration="0",
            n=n,
            drifted=False,
            columns=[],
            against_earlier=[],
            detectors=[],
        )
    )


def publish(settings: Settings, topic: Topic, values: list[tuple[str, bytes]]) -> None:
    client = producer(settings.kafka)
    for key, value in values:
        client.produce(settings.kafka.topic_prefix + topic.name, key=key.encode(), value=value)
    assert client.flush(10) == 0


@pytest.fixture(scope="module")
def watched(
    kafka: str, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, httpx.Client]]:
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix="watched."))
    create_topics(settings.kafka)
    for name in ("panel", "loan"):
        deploy(bundles[name], settings=settings)
    before = [drift(0, 5), drift(1, 6), drift(0, 7, n=2), drift(0, 6), b"no result", drift(1, 6, version="2")]
    publish(settings, DRIFT, [("panel", value) for value in before])
    fold = AlertFold(model="panel", version="1", monitor="drift", rule=Rule(hits=1, of=1, clear=1))
    events = fold.judge(Window(0, HOUR_MS), [Finding("sodium", hit=True), Finding("potassium", hit=True)])
    events += fold.judge(Window(HOUR_MS, 2 * HOUR_MS), [Finding("potassium", hit=False)])
    publish(settings, ALERTS, [(event.fingerprint, msgspec.json.encode(event)) for event in events])
    with (
        processes.gateway(tmp_path_factory.mktemp("watched"), environment_of(settings)) as gateway,
        httpx.Client(base_url=gateway.url, timeout=15) as client,
    ):
        processes.wait_until(lambda: client.get("/alerts").status_code == 200, what="results read")
        yield settings, client


def windows(client: httpx.Client, query: str) -> list[tuple[str, int, int]]:
    answer = client.get(f"/v2/models/panel/monitors/drift{query}")
    assert answer.status_code == 200
    assert answer.json()["not_kept"] == []
    return [
        (entry["version"], int(entry["window"]["start"][11:13]), entry["cut"]["observations"])
        for entry in answer.json()["results"]
    ]


def test_the_latest_revision_of_each_window_is_served(watched: tuple[Settings, httpx.Client]) -> None:
    settings, client = watched
    assert windows(client, "?window=all") == [("1", 0, 7), ("1", 1, 6), ("2", 1, 6)]
    assert windows(client, "") == windows(client, "?window=latest") == [("1", 1, 6), ("2", 1, 6)]
    assert windows(client, "?version=2&role=primary") == [("2", 1, 6)]
    assert windows(client, "?window=all&role=shadow") == []
    first = f"{rfc3339(0)}/{rfc3339(HOUR_MS)}"
    assert windows(client, f"?window={first}") == [("1", 0, 7)]
    assert windows(client, "?window=1970-01-01T00:30:00Z/1970-01-01T02:00:00%2B00:00") == [
        ("1", 1, 6),
        ("2", 1, 6),
    ]
    publish(settings, DRIFT, [("panel", drift(2, 9))])
    processes.wait_until(lambda: ("1", 2, 9) in windows(client, ""), what="a result published later")


def test_what_is_served_is_what_was_published(watched: tuple[Settings, httpx.Client]) -> None:
    window = f"{rfc3339(0)}/{rfc3339(HOUR_MS)}"
    answer = watched[1].get("/v2/models/panel/monitors/drift", params={"window": window})
    [served] = answer.json()["results"]
    assert served == msgspec.json.decode(drift(0, 7, n=2))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/nobody/monitors/drift", 404),
        ("/v2/models/panel/monitors/weather", 404),
        ("/v2/models/panel/monitors/explanations", 404),
        ("/v2/models/panel/monitors/drift?window=yesterday", 422),
        ("/v2/models/panel/monitors/drift?window=2026-01-02T00:00:00Z/2026-01-01T00:00:00Z", 422),
        ("/v2/models/panel/monitors/drift?role=chief", 422),
        ("/alerts?status=loud", 422),
    ],
)
def test_what_is_not_there_or_cannot_be_read(
    watched: tuple[Settings, httpx.Client], path: str, status: int
) -> None:
    answer = watched[1].get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert watched[1].get("/v2/models/loan/monitors/fairness").json()["results"] == []


def alerts(client: httpx.Client, query: str = "") -> dict[str, dict[str, Any]]:
    return {entry["subject"]: entry for entry in client.get(f"/alerts{query}").json()["alerts"]}


def test_alerts_are_acknowledged_and_silenced(watched: tuple[Settings, httpx.Client]) -> None:
    settings, client = watched
    assert {subject: entry["status"] for subject, entry in alerts(client).items()} == {
        "sodium": "firing",
        "potassium": "resolved",
    }
    assert alerts(client, "?status=firing").keys() == {"sodium"}
    assert alerts(client, "?model=loan") == {}
    fingerprint = alerts(client)["sodium"]["fingerprint"]

    seen = client.post(f"/alerts/{fingerprint}/acknowledge", json={"by": "ana", "comment": "on it"})
    assert seen.status_code == 201
    assert alerts(client)["sodium"]["acknowledged_by"] == ["ana"]
    assert alerts(client)["potassium"]["acknowledged_by"] == []
    assert client.post("/alerts/nothing/acknowledge", json={"by": "ana"}).status_code == 404

    made = client.post(
        "/silences", json={"by": "ana", "duration": "2h", "matchers": {"model": "panel", "subject": "sodium"}}
    )
    assert made.status_code == 201
    identity = made.json()["id"]
    assert client.get("/silences").json()["silences"] == [made.json()]
    assert alerts(client)["sodium"]["silenced_by"] == [identity]
    assert alerts(client)["potassium"]["silenced_by"] == []

    assert client.delete(f"/silences/{identity}").status_code == 204
    assert client.get("/silences").json() == {"silences": []}
    assert alerts(client)["sodium"]["silenced_by"] == []
    assert client.delete(f"/silences/{identity}").status_code == 404

    with LogReader(settings.kafka, (SILENCES,)) as reader:
        records = [
            (message.key(), msgspec.json.decode(message.value() or b"", type=SilenceRecord))
            for message in reader.read_to_end()
        ]
    assert [(key or b"").decode() for key, _ in records] == [seen.json()["id"], identity, identity]
    assert records[0][1].acknowledgement is not None
    assert records[1][1].silence is not None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"duration": "2h", "matchers": {}}, "by"),
        ({"by": "ana", "duration": "2h"}, "matchers"),
        ({"by": "ana", "matchers": {}}, "ends_at"),
        ({"by": "ana", "matchers": {}, "duration": "2h", "ends_at": "2999-01-01T00:00:00Z"}, "ends_at"),
        ({"by": "ana", "matchers": {}, "ends_at": "1999-01-01T00:00:00Z"}, "ends_at"),
        ({"by": "ana", "matchers": {}, "duration": "a while"}, "duration"),
        ({"by": "ana", "matchers": {}, "duration": "99999999999d"}, "ends_at"),
        ({"by": "ana", "matchers": {"colour": "red"}, "duration": "2h"}, "matchers"),
        ({"by": "", "matchers": {}, "duration": "2h"}, "by"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused_by_name(
    watched: tuple[Settings, httpx.Client], body: dict[str, Any], field: str
) -> None:
    answer = watched[1].post("/silences", json=body)
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json()["errors"]] == [field]
