"""Keys at real gateways: who is let in, whose answers are whose, and that no secret is ever in a log."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from typer.testing import CliRunner

from atalaia.cli import keys
from atalaia.runtime import redis as redis_runtime
from atalaia.runtime.ports import free_port
from atalaia.runtime.supervisor import Supervisor
from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from tests.broker.gateway import processes
from tests.broker.gateway.conftest import environment_of

pytestmark = pytest.mark.broker

ROW = {"sodium": 0.25, "potassium": -0.5}
ASYNC = {"Prefer": "respond-async"}
PAGE = "https://ward.example"
REDIS_PASSWORD, KAFKA_PASSWORD = "redis-Secret-7", "kafka-Secret-8"


class Place:
    """A gateway with keys, and the file they are in."""

    def __init__(self, file: Path, folder: Path, environment: dict[str, str], store: redis.Redis) -> None:
        self.file, self.folder, self.environment, self.store = file, folder, environment, store
        self.made: list[str] = []
        self.url = ""

    def add(self, name: str, scopes: str, *options: str) -> dict[str, str]:
        """Headers with a new key, which the gateway may not know yet."""
        secret = self.keys("add", name, "--scopes", scopes, *options)
        self.made.append(secret)
        return {"Authorization": f"Bearer {secret}"}

    def keys(self, *arguments: str) -> str:
        result = CliRunner().invoke(keys.app, [*arguments, "--file", str(self.file)])
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    def ask(self, headers: dict[str, str], path: str = "/predict", json: Any = ROW) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=json, headers=headers, timeout=20)

    def known(self, headers: dict[str, str]) -> None:
        processes.wait_until(lambda: self.ask(headers).status_code == 200, what="the key", seconds=5)

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.rglob("gateway.*")))


@pytest.fixture(scope="module")
def place(kafka: str, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("access"), free_port()
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix="access."))
    create_topics(settings.kafka)
    deploy(bundles["panel"], settings=settings)
    environment = environment_of(settings) | {
        "ATALAIA_REDIS__URL": f"redis://:{REDIS_PASSWORD}@127.0.0.1:{port}/0",
        "ATALAIA_KAFKA__CLIENT": f'{{"sasl.username": "atalaia", "sasl.password": "{KAFKA_PASSWORD}"}}',
        "ATALAIA_ACCESS__KEYS_FILE": str(folder / "keys.toml"),
        "ATALAIA_GATEWAY__CORS_ORIGINS": f'["{PAGE}"]',
        "ATALAIA_GATEWAY__LOG_INPUTS": "true",
        "ATALAIA_GATEWAY__LOG_PREDICTIONS": "true",
    }
    with Supervisor(folder / "logs") as supervisor, processes.scorer(folder, environment_of(settings)):
        programs = redis_runtime.find_programs()
        supervisor.start(redis_runtime.server(programs, folder=folder / "redis", port=port))
        with contextlib.closing(redis.Redis(port=port)) as store:
            store.config_set("requirepass", REDIS_PASSWORD)
        with contextlib.closing(redis.Redis(port=port, password=REDIS_PASSWORD)) as store:
            yield Place(folder / "keys.toml", folder, environment, store)


@pytest.fixture(scope="module")
def lab(place: Place) -> Iterator[dict[str, str]]:
    """Headers of a key that may ask; with it the gateway is started."""
    headers = place.add("lab", "infer")
    with processes.gateway(place.folder / "first", place.environment) as gateway:
        place.url = gateway.url
        place.known(headers)
        yield headers


@pytest.fixture(scope="module")
def ward(place: Place, lab: dict[str, str]) -> dict[str, str]:
    assert lab
    headers = place.add("ward", "infer")
    place.known(headers)
    return headers


def test_beyond_this_machine_without_keys_no_gateway_starts(place: Place) -> None:
    environment = {**place.environment, "ATALAIA_GATEWAY__HOST": "0.0.0.0"}  # noqa: S104 - what is refused
    del environment["ATALAIA_ACCESS__KEYS_FILE"]
    with processes.running("gateway", place.folder / "open", environment) as started:
        assert started.process.wait(20) == 2
    told = (place.folder / "open" / "gateway.err").read_text()
    assert "atalaia keys add" in told


def test_a_wrong_setting_is_told_without_its_secret(place: Place) -> None:
    environment = {**place.environment, "ATALAIA_REDIS__URL": f"redis://:{REDIS_PASSWORD}/x@127.0.0.1"}
    with processes.running("gateway", place.folder / "wrong", environment) as started:
        assert started.process.wait(20) == 2
    told = (place.folder / "wrong" / "gateway.err").read_text()
    assert "ATALAIA_REDIS__URL: " in told
    assert REDIS_PASSWORD not in told


def test_keys_are_asked_for_on_the_short_way_too(place: Place, lab: dict[str, str]) -> None:
    assert place.ask(lab).status_code == 200
    assert place.ask({"X-API-Key": lab["Authorization"].removeprefix("Bearer ")}).status_code == 200
    for headers in (
        {},
        {"Authorization": "Basic bGFiOmxhYg=="},
        {"Authorization": lab["Authorization"] + "x"},
    ):
        refused = place.ask({**headers, "Origin": PAGE})
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert refused.headers["access-control-allow-origin"] == PAGE
    refused = place.ask(lab, "/labels", [{"id": "r", "label": 3}])
    assert refused.status_code == 403
    assert "needs the scope label; the key of lab has infer" in refused.json()["detail"]
    assert httpx.get(f"{place.url}/readyz").status_code == 200
    assert httpx.get(f"{place.url}/metrics").status_code == 200
    described = httpx.get(f"{place.url}/openapi.json").text
    assert "panel" not in described


def test_the_file_is_followed_and_a_broken_one_keeps_the_old_keys(place: Place, lab: dict[str, str]) -> None:
    guest = place.add("guest", "infer,label")
    place.known(guest)
    assert place.ask(guest, "/labels", [{"id": "r", "label": 3}]).status_code == 202
    good = place.file.read_text()
    place.file.write_text("[[keys")
    processes.wait_until(lambda: "keys cannot be read" in place.logs(), what="the log", seconds=5)
    assert place.ask(guest).status_code == 200
    place.file.write_text(good)
    place.keys("revoke", "guest")
    processes.wait_until(lambda: place.ask(guest).status_code == 401, what="the end of the key", seconds=5)
    assert place.ask(lab).status_code == 200


def test_an_answer_is_fetched_by_who_asked(place: Place, lab: dict[str, str], ward: dict[str, str]) -> None:
    accepted = place.ask(lab | ASYNC)
    assert accepted.status_code == 202
    place_of_it = f"{place.url}{accepted.headers['location']}"
    until = time.monotonic() + 15
    while (answer := httpx.get(place_of_it, headers=lab)).status_code == 202:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert answer.status_code == 200
    assert httpx.get(place_of_it, headers=ward).status_code == 404
    assert httpx.get(place_of_it).status_code == 401


def test_an_idempotency_key_is_its_principals_own(
    place: Place, lab: dict[str, str], ward: dict[str, str]
) -> None:
    key = {"Idempotency-Key": f'"{uuid.uuid4().hex}"'}
    mine, other = place.ask(lab | key), place.ask(ward | key)
    assert (mine.status_code, other.status_code) == (200, 200)
    assert mine.json()["id"] != other.json()["id"]
    assert place.ask(ward | key, json=ROW | {"sodium": 9.5}).status_code == 422


def test_a_key_may_ask_as_often_as_it_may(place: Place, lab: dict[str, str]) -> None:
    assert lab
    slow = place.add("slow", "infer", "--rate", "0.01")
    place.known(slow)
    refused = place.ask(slow)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["retry-after"]) <= 100
    assert refused.headers["ratelimit"].startswith('"key";r=0;t=')
    assert place.ask(lab).status_code == 200


def test_no_secret_is_in_any_log(place: Place, lab: dict[str, str]) -> None:
    """Also when Redis knows another password, and after whatever else was asked."""
    place.store.config_set("requirepass", "another")
    place.store.client_kill_filter(_type="normal", skipme=True)
    keyed = lab | {"Idempotency-Key": '"k"'}
    processes.wait_until(lambda: place.ask(keyed).status_code == 503, what="no Redis", seconds=10)
    place.store.config_set("requirepass", REDIS_PASSWORD)
    processes.wait_until(lambda: place.ask(keyed).status_code == 200, what="Redis", seconds=20)
    assert place.ask({"Authorization": lab["Authorization"].removeprefix("Bearer ")}).status_code == 401
    assert place.ask({"Authorization": "Basic " + lab["Authorization"][7:]}).status_code == 401
    assert place.ask(lab | ASYNC, json={"sodium": "x"}).status_code == 422
    assert place.ask(lab, "/models/nobody/predict").status_code == 404
    assert httpx.get(f"{place.url}/nowhere", headers=lab).status_code == 404
    assert place.ask(lab).status_code == 200
    time.sleep(1.5)  # the request log is written every half second
    logs = place.logs()
    assert '"principal":"lab"' in logs
    assert "Redis does not answer" in logs
    lowered = logs.lower()
    assert [word for word in ("bearer", "authorization", "x-api-key", "atl_") if word in lowered] == []
    secrets = [*place.made, REDIS_PASSWORD, KAFKA_PASSWORD]
    assert len(secrets) >= 3
    assert [secret for secret in secrets if secret in logs] == []
