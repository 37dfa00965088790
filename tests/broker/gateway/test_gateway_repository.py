"""The repository of models at a real gateway: listed, loaded and unloaded, while requests go on."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy, promote
from tests.broker.gateway import processes
from tests.broker.gateway.conftest import environment_of
from tests.broker.gateway.models import numeric_bundle

pytestmark = pytest.mark.broker

ROW = {"sodium": 0.25, "potassium": -0.5}
ONE = "/v2/repository/models/panel"


@pytest.fixture(scope="module")
def settings(kafka: str, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = Settings(kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix="repository."))
    create_topics(made.kafka)
    deploy(bundles["panel"], settings=made)
    second = numeric_bundle(tmp_path_factory.mktemp("second") / "panel", version="2")
    deploy(second.folder, settings=made)
    return made


@pytest.fixture(scope="module")
def at(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder, environment = tmp_path_factory.mktemp("repository"), environment_of(settings)
    with (
        processes.scorer(folder, environment),
        processes.gateway(folder, environment) as gateway,
        httpx.Client(base_url=gateway.url, timeout=20) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def as_before(at: httpx.Client, settings: Settings) -> None:
    """Version 1 is there, and 2 answers."""
    assert at.post(f"{ONE}/load", json={"parameters": {"version": "1"}}).status_code == 200
    promote("panel", "2", kafka=settings.kafka)
    processes.wait_until(lambda: version_of(at) == "2", what="version 2")


def version_of(at: httpx.Client) -> str | None:
    answer = at.post("/predict", json=ROW)
    return answer.json()["version"] if answer.status_code == 200 else None


def states(at: httpx.Client, body: dict[str, bool] | None = None) -> dict[str, str]:
    answer = at.post("/v2/repository/index", json=body)
    assert answer.status_code == 200
    assert {entry["name"] for entry in answer.json()} <= {"panel"}
    return {entry["version"]: f"{entry['state']} {entry['reason']}".strip() for entry in answer.json()}


def test_versions_are_listed_with_and_without_a_body(at: httpx.Client) -> None:
    assert states(at) == states(at, {"ready": True}) == {"1": "READY", "2": "READY"}
    assert at.post("/v2/repository/index").json() == at.post("/v2/repository/index", json={}).json()
    assert "model_repository" in at.get("/v2").json()["extensions"]


def test_what_is_unloaded_answers_nobody_until_it_is_loaded_again(at: httpx.Client) -> None:
    gone = at.post(f"{ONE}/unload")
    assert (gone.status_code, gone.json()) == (200, {"name": "panel", "state": "UNAVAILABLE"})
    refused = at.post("/predict", json=ROW)
    assert (refused.status_code, refused.json()["code"]) == (503, "no_primary")
    named = at.post("/v2/models/panel/versions/2/infer", json={"inputs": []})
    assert named.status_code == 404
    assert states(at) == {"1": "UNAVAILABLE retired", "2": "UNAVAILABLE retired"}
    assert states(at, {"ready": True}) == {}
    assert at.post(f"{ONE}/unload").status_code == 200
    loaded = at.post(f"{ONE}/load")
    assert (loaded.status_code, loaded.json()) == (200, {"name": "panel", "version": "2", "state": "READY"})
    assert version_of(at) == "2"
    assert states(at) == {"1": "UNAVAILABLE retired", "2": "READY"}


def test_loading_what_answers_changes_nothing(at: httpx.Client) -> None:
    before = at.post("/v2/repository/index").json()
    assert at.post(f"{ONE}/load", json={"parameters": {"config": "{}"}}).json()["version"] == "2"
    assert at.post(f"{ONE}/load", json={"parameters": {"version": "2"}}).json()["version"] == "2"
    assert at.post("/v2/repository/index").json() == before


def test_one_version_is_unloaded_where_one_is_named(at: httpx.Client) -> None:
    assert at.post(f"{ONE}/unload", json={"parameters": {"version": "1"}}).status_code == 200
    assert states(at) == {"1": "UNAVAILABLE retired", "2": "READY"}
    assert version_of(at) == "2"


def test_versions_change_under_requests_and_none_fails(at: httpx.Client) -> None:
    stop, seen, failed = threading.Event(), set[str](), list[str]()

    def ask() -> None:
        with httpx.Client(base_url=at.base_url, timeout=20) as client:
            while not stop.is_set():
                answer = client.post("/predict", json=ROW)
                if answer.status_code == 200:
                    seen.add(answer.json()["version"])
                else:
                    failed.append(answer.text)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in ("1", "2", "1", "2"):
        assert at.post(f"{ONE}/load", json={"parameters": {"version": version}}).status_code == 200
        assert version_of(at) == version
        time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert seen == {"1", "2"}


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/v2/repository/models/nobody/load", None, 404, "no model 'nobody'"),
        ("/v2/repository/models/nobody/unload", None, 404, "no model 'nobody'"),
        (f"{ONE}/load", {"parameters": {"version": "9"}}, 404, "no version '9'"),
        (f"{ONE}/unload", {"parameters": {"version": "9"}}, 404, "no version '9'"),
        (f"{ONE}/load", {"parameters": {"version": 2}}, 422, "parameters.version"),
        (f"{ONE}/load", [], 422, "body"),
        ("/v2/repository/index", {"ready": "yes"}, 422, "ready"),
    ],
)
def test_what_cannot_be_done_is_named(
    at: httpx.Client, path: str, body: object, status: int, told: str
) -> None:
    answer = at.post(path) if body is None else at.post(path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]
    assert version_of(at) == "2"
