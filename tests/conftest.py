"""What every kind of test may ask for: a real Kafka and a real Redis, one of each a session."""

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest
import redis
from hypothesis import settings

from atalaia.runtime import kafka as kafka_runtime
from atalaia.runtime import redis as redis_runtime
from atalaia.runtime.jars import fetch_jars
from atalaia.runtime.java import find_java
from atalaia.runtime.ports import free_port
from atalaia.runtime.supervisor import Supervisor

Say = Callable[[str], None]

settings.register_profile("ci", derandomize=True)
"""The same examples each time, so that whoever looks at a failure sees it; elsewhere they are new ones."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("broker"):
            # Processes are started and killed under limits of time, beside whatever else the machine does.
            item.add_marker(pytest.mark.flaky(reruns=2))
            # The first of them starts the broker, in a fresh clone after fetching it.
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real broker: the one given by the settings, else one of this session's own."""
    given = os.environ.get("ATALAIA_KAFKA__BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("kafka")
    java = find_java()
    port = free_port()
    spec = kafka_runtime.broker(
        java=java, jars=fetch_jars(java), folder=folder, port=port, controller_port=free_port()
    )
    with Supervisor(folder / "logs") as supervisor:
        supervisor.start(spec)
        yield f"{kafka_runtime.HOST}:{port}"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Redis: the one given by the settings, else one of this session's own."""
    given = os.environ.get("ATALAIA_REDIS__URL")
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("redis")
    port = free_port()
    with Supervisor(folder / "logs") as supervisor:
        supervisor.start(redis_runtime.server(redis_runtime.find_programs(), folder=folder, port=port))
        yield f"redis://{redis_runtime.HOST}:{port}/0"


@pytest.fixture
def empty_redis_url(redis_url: str) -> str:
    """The same where nothing lies of the tests before, for one that reads more than it wrote itself."""
    with contextlib.closing(redis.Redis.from_url(redis_url)) as store:
        store.flushall()
    return redis_url


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Writes a line to the terminal, past the capture."""
    plugins = request.config.pluginmanager
    reporter, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")

    def write(line: str) -> None:
        assert reporter is not None
        assert capture is not None
        with capture.global_and_fixture_disabled():
            reporter.write_line(line)

    return write
