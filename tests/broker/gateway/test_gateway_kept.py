"""Answers that are kept: fetched from any gateway, counted once, and there again after Redis was wiped."""

import contextlib
import statistics
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from atalaia.conservation import examine
from atalaia.runtime import redis as redis_runtime
from atalaia.runtime.ports import free_port
from atalaia.runtime.supervisor import Supervisor
from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from atalaia.stream.ledger import read_facts
from services.gateway.inference.exchange import PULSE_SECONDS
from services.gateway.kept.preferences import new_ticket
from tests.broker.gateway import processes
from tests.broker.gateway.conftest import environment_of

pytestmark = pytest.mark.broker

ROW = {"sodium": 0.25, "potassium": -0.5}
ASYNC = {"Prefer": "respond-async"}
DAY_MS = 86_400_000


class Place:
    """Two gateways over one Kafka and one Redis."""

    def __init__(
        self, settings: Settings, folder: Path, environment: dict[str, str], store: Supervisor, redis_url: str
    ) -> None:
        self.settings, self.folder, self.environment = settings, folder, environment
        self.store, self.redis_url = store, redis_url


@pytest.fixture(scope="module")
def place(kafka: str, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("kept"), free_port()
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix="kept."))
    create_topics(settings.kafka)
    deploy(bundles["panel"], settings=settings)
    url = f"redis://127.0.0.1:{port}/0"
    environment = environment_of(settings) | {"ATALAIA_REDIS__URL": url, "ATALAIA_GATEWAY__DEADLINE": "5s"}
    with Supervisor(folder / "logs") as store, processes.scorer(folder, environment):
        store.start(redis_runtime.server(redis_runtime.find_programs(), folder=folder / "redis", port=port))
        yield Place(settings, folder, environment, store, url)


@pytest.fixture(scope="module")
def one(place: Place) -> Iterator[httpx.Client]:
    with _gateway(place, "one") as client:
        yield client


@pytest.fixture(scope="module")
def other(place: Place) -> Iterator[httpx.Client]:
    with _gateway(place, "other") as client:
        yield client


@contextlib.contextmanager
def _gateway(place: Place, name: str) -> Iterator[httpx.Client]:
    with (
        processes.gateway(place.folder / name, place.environment) as started,
        httpx.Client(base_url=started.url, timeout=20) as client,
    ):
        yield client


def fetched(client: httpx.Client, location: str, *, seconds: float = 15.0) -> httpx.Response:
    """The answer once it is there; until then it is pending and never anything else."""
    until = time.monotonic() + seconds
    while (answer := client.get(location)).status_code == 202:
        assert answer.headers["location"] == location
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() < until, f"{location} is still pending"
        time.sleep(0.02)
    return answer


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": f'"{key}"'}


def observed(place: Place, request_id: str) -> int:
    """How often a request id was counted by the monitors' input."""
    facts = read_facts(place.settings.kafka)
    return sum(request.id == request_id for message in facts.observations for request in message.requests)


def test_who_asks_alone_does_not_wait_for_others_to_hear_that_kafka_has_the_request(
    one: httpx.Client,
) -> None:
    waited = []
    for _ in range(20):
        began = time.monotonic()
        assert one.post("/predict", json=ROW, headers=ASYNC).status_code == 202
        waited.append(time.monotonic() - began)
    # Before acknowledgements were looked for, each waited for the exchange's next pulse.
    assert statistics.median(waited) < 0.8 * PULSE_SECONDS


def test_an_asynchronous_answer_is_fetched_from_any_gateway(one: httpx.Client, other: httpx.Client) -> None:
    accepted = one.post("/predict", json=ROW, headers=ASYNC)
    assert accepted.status_code == 202
    assert accepted.headers["preference-applied"] == "respond-async"
    assert accepted.json()["location"] == accepted.headers["location"]
    answer = fetched(other, accepted.headers["location"])
    assert answer.status_code == 200
    body = answer.json()
    assert (body["model_name"], body["id"]) == ("panel", accepted.json()["id"])
    assert {output["name"] for output in body["outputs"]} >= {"label", "score", "abstained"}
    assert fetched(one, accepted.headers["location"]).json() == body


def test_what_is_waited_for_is_answered_at_once(one: httpx.Client) -> None:
    answer = one.post("/predict", json=ROW, headers={"Prefer": "respond-async, wait=10"})
    assert answer.status_code == 200
    assert answer.json()["model"] == "panel"


def test_refusals_of_asynchronous_requests_come_at_once(one: httpx.Client) -> None:
    assert one.post("/predict", json={"sodium": 1.0}, headers=ASYNC).status_code == 422
    refused = one.post("/predict", json=ROW, headers={"Prefer": "wait=soon"})
    assert refused.status_code == 400
    assert refused.json()["code"] == "bad_header"
    assert "wait='soon'" in refused.json()["detail"]


def test_a_row_out_of_distribution_is_fetched_as_its_problem(one: httpx.Client) -> None:
    accepted = one.post("/predict", json={"sodium": 900.0, "potassium": -900.0}, headers=ASYNC)
    answer = fetched(one, accepted.headers["location"])
    assert answer.status_code == 422
    assert answer.json()["code"] == "out_of_distribution"
    assert answer.json()["distance"] > answer.json()["cutoff"]


@pytest.mark.parametrize(
    ("ticket", "told"),
    [
        ("order-7", "no request here"),
        (new_ticket("", 0), "this one is gone"),
        (new_ticket("", int(time.time() * 1000) + DAY_MS), "a time to come"),
    ],
)
def test_what_was_never_given_is_not_found(one: httpx.Client, ticket: str, told: str) -> None:
    answer = one.get(f"/v2/requests/{ticket}")
    assert answer.status_code == 404
    assert told in answer.json()["detail"]


def test_a_repeat_returns_the_first_answer_and_counts_once(
    place: Place, one: httpx.Client, other: httpx.Client
) -> None:
    key = uuid.uuid4().hex
    first = one.post("/predict", json=ROW, headers=keyed(key))
    assert first.status_code == 200
    repeat = _repeated(other, key)
    assert repeat.status_code == 200
    assert repeat.json() == first.json()
    changed = one.post("/predict", json=ROW | {"sodium": 0.5}, headers=keyed(key))
    assert changed.status_code == 422
    assert changed.json()["code"] == "idempotency_key_reused"
    elsewhere = one.post("/models/panel/predict", json=ROW, headers=keyed(key))
    assert elsewhere.json()["id"] != first.json()["id"]
    assert observed(place, first.json()["id"]) == 1


def _repeated(client: httpx.Client, key: str, **row: float) -> httpx.Response:
    """A repeat, asked again while the first is in flight."""
    until = time.monotonic() + 15
    while (answer := client.post("/predict", json=ROW | row, headers=keyed(key))).status_code == 409:
        assert answer.json()["code"] == "idempotency_in_flight"
        assert time.monotonic() < until
        time.sleep(0.02)
    return answer


def test_whoever_has_had_an_answer_gets_it_again_from_any_gateway(
    one: httpx.Client, other: httpx.Client
) -> None:
    for _ in range(50):
        key = uuid.uuid4().hex
        first, again = (client.post("/predict", json=ROW, headers=keyed(key)) for client in (one, other))
        assert (again.status_code, again.json()) == (200, first.json())


def test_many_at_once_with_one_key_are_one_request(
    place: Place, one: httpx.Client, other: httpx.Client
) -> None:
    key = uuid.uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda turn: _repeated(one if turn % 2 else other, key), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 1
    assert observed(place, ids.pop()) == 1


def test_an_asynchronous_repeat_has_the_same_location(one: httpx.Client, other: httpx.Client) -> None:
    key = uuid.uuid4().hex
    first = one.post("/predict", json=ROW, headers=ASYNC | keyed(key))
    fetched(one, first.headers["location"])
    repeat = other.post("/predict", json=ROW, headers=ASYNC | keyed(key))
    assert repeat.status_code in (200, 202)
    if repeat.status_code == 202:
        assert repeat.headers["location"] == first.headers["location"]


def test_every_202_is_fetched_though_its_gateway_was_killed(place: Place, other: httpx.Client) -> None:
    with processes.gateway(place.folder / "killed", place.environment) as doomed:
        with httpx.Client(base_url=doomed.url, timeout=20) as client:
            accepted = [client.post("/predict", json=ROW, headers=ASYNC) for _ in range(20)]
        doomed.process.kill()
    assert [answer.text for answer in accepted if answer.status_code != 202] == []
    answers = [fetched(other, answer.headers["location"], seconds=30) for answer in accepted]
    assert {answer.status_code for answer in answers} == {200}


def test_a_wiped_redis_is_filled_again(place: Place, one: httpx.Client) -> None:
    accepted = one.post("/predict", json=ROW, headers=ASYNC)
    answer = fetched(one, accepted.headers["location"])
    with contextlib.closing(redis.Redis.from_url(place.redis_url)) as store:
        store.flushall()
    assert fetched(one, accepted.headers["location"]).json() == answer.json()


def test_without_redis_plain_requests_go_on_and_others_are_refused(place: Place, one: httpx.Client) -> None:
    place.store.stop("redis")
    try:
        # An answer of a moment ago still counts for it.
        processes.wait_until(
            lambda: one.post("/predict", json=ROW, headers=ASYNC).status_code == 503,
            what="refusal without Redis",
            seconds=5,
        )
        refused: list[Any] = [
            one.post("/predict", json=ROW, headers=headers) for headers in (ASYNC, keyed("any"))
        ]
        assert [answer.status_code for answer in refused] == [503, 503]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert "Redis does not answer" in refused[0].json()["detail"]
        assert one.post("/predict", json=ROW).status_code == 200
        assert one.get(f"/v2/requests/{new_ticket('')}").status_code == 503
        assert one.get("/readyz").status_code == 200
    finally:
        port = int(place.redis_url.rpartition(":")[2].partition("/")[0])
        folder = place.folder / "redis"
        place.store.start(redis_runtime.server(redis_runtime.find_programs(), folder=folder, port=port))
    accepted = one.post("/predict", json=ROW, headers=ASYNC)
    assert fetched(one, accepted.headers["location"]).status_code == 200
    assert examine(read_facts(place.settings.kafka)).ok
