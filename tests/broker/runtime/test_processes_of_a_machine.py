"""Two gateways on one port and two scorers: one page of metrics, one killed while the other answers."""

from collections import Counter
from pathlib import Path

import httpx
import pytest

from atalaia.runtime.machine import Machine
from atalaia.settings import GatewaySettings, KafkaSettings, RedisSettings, ScorerSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from tests.broker.scorer.models import line_bundle

pytestmark = pytest.mark.broker


def test_several_processes_share_port_page_and_work_and_a_killed_one_comes_back(tmp_path: Path) -> None:
    bundle = line_bundle(tmp_path / "bundle", "line")

    def prepare(settings: Settings) -> None:
        create_topics(settings.kafka)
        deploy(bundle.folder, settings=settings)

    settings = Settings(
        kafka=KafkaSettings(port=0, controller_port=0),
        redis=RedisSettings(port=0),
        gateway=GatewaySettings(port=0, processes=2),
        scorer=ScorerSettings(metrics_port=0, processes=2),
    )
    with Machine(settings, tmp_path / "state", prepare=prepare) as running:
        url = running.addresses.gateway or ""
        assert {"gateway", "gateway-1", "scorer-0", "scorer-1"} <= set(running.supervisor.names)
        assert set(running.addresses.metrics) == {"gateway", "scorer", "scorer-1"}
        example = httpx.get(f"{url}/schema").json()["example"]
        assert statuses(url, example, count=40) == {200: 40}
        page = running.addresses.metrics["gateway"]
        # Each look is a connection of its own, so both processes are asked; all of them tell the same.
        assert {answered(page) for _ in range(8)} == {40.0}

        found: Counter[int] = Counter()
        # From the crash to the successor's first answer nobody is sent to a process that cannot answer.
        former = running.kill("gateway-1")
        while not running.supervisor.is_ready("gateway-1"):
            found.update(statuses(url, example, count=5))
        assert found.keys() == {200}
        asked = 40 + found.total()
        assert running.pid("gateway-1") not in {None, former}
        assert statuses(url, example, count=20) == {200: 20}
        assert {answered(page) for _ in range(8)} == {asked + 20.0}
        assert "atalaia_gateway_kafka_up 1.0" in httpx.get(page).text


def statuses(url: str, example: dict[str, float], *, count: int) -> Counter[int]:
    """Of requests on a connection each: the kernel chooses a process anew for every one."""
    found: Counter[int] = Counter()
    for _ in range(count):
        try:
            found[httpx.post(f"{url}/predict", json=example, timeout=15).status_code] += 1
        except httpx.TransportError:
            found[0] += 1
    return found


def answered(page: str) -> float:
    lines = httpx.get(page).text.splitlines()
    counts = [line for line in lines if line.startswith("atalaia_gateway_request_seconds_count{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counts if 'route="/predict"' in line)
