"""What Kafka, Redis and the services are told."""

import importlib.util
from pathlib import Path

import pytest

from atalaia import settings as settings_module
from atalaia.runtime import kafka, redis, services
from atalaia.settings import BundlesSettings, GatewaySettings, KafkaSettings, ScorerSettings, Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("auto.create.topics.enable", "false"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
        ("transaction.state.log.replication.factor", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("listeners", "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"),
    ],
)
def test_the_broker_is_told_what_the_protocol_needs(name: str, value: str) -> None:
    assert kafka.broker_properties(data=Path("/data"), port=1, controller_port=2)[name] == value


def test_sessions_of_six_seconds_are_allowed_and_a_killed_broker_is_missed_soon() -> None:
    properties = kafka.broker_properties(data=Path("/data"), port=1, controller_port=2)
    assert int(properties["group.min.session.timeout.ms"]) <= 6_000
    assert (
        2 * int(properties["broker.heartbeat.interval.ms"])
        <= int(properties["broker.session.timeout.ms"])
        <= 3_000
    )
    # The default of librdkafka's transactions.
    assert int(properties["transaction.max.timeout.ms"]) >= 60_000


def test_a_folder_with_an_accent_survives_the_properties_file() -> None:
    assert kafka.render({"log.dirs": "/home/zoë/état"}) == "log.dirs=/home/zo\\u00eb/\\u00e9tat\n"


def test_a_cluster_id_is_22_characters_and_no_option() -> None:
    ids = {kafka.cluster_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(len(text) == 22 and not text.startswith("-") for text in ids)


def test_redis_keeps_what_it_acknowledged_and_refuses_to_guess() -> None:
    directives = dict(redis.server_directives(folder=Path("/data"), port=1))
    assert directives["appendonly"] == "yes"
    assert directives["aof-load-truncated"] == "no"
    assert directives["maxmemory-policy"] == "noeviction"
    assert directives["bind"] == "127.0.0.1"


def test_a_service_reads_the_very_settings_it_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = Settings(
        kafka=KafkaSettings(
            bootstrap_servers="a:1,b:2", client={"security.protocol": "ssl"}, topic_prefix="x."
        ),
        bundles=BundlesSettings(store=tmp_path / "with space"),
        gateway=GatewaySettings(deadline=2.5, log_inputs=True, port=0),
        scorer=ScorerSettings(replica=3, commit_interval=0.25),
    )
    contrary = {"ATALAIA_GATEWAY__PORT": "1234", "atalaia_data_dir": "/elsewhere", "HOME": "/home"}
    environment = services.environment_of(given, contrary)
    assert environment["HOME"] == "/home"
    assert "atalaia_data_dir" not in environment
    for name in list(environment):
        if name.startswith("ATALAIA_"):
            monkeypatch.setenv(name, environment[name])
    assert settings_module.load() == given


def test_each_scorer_has_a_replica_number_and_a_port_of_its_own() -> None:
    base = Settings(scorer=ScorerSettings(metrics_port=0))
    first, second = services.scorer(base, 0), services.scorer(base, 1)
    assert (first.process.name, second.process.name) == ("scorer-0", "scorer-1")
    assert (first.metrics_name, second.metrics_name) == ("scorer", "scorer-1")
    assert second.process.environment["ATALAIA_SCORER__REPLICA"] == "1"
    assert first.metrics_url != second.metrics_url
    assert second.process.environment["ATALAIA_SCORER__METRICS_PORT"] in second.metrics_url


@pytest.mark.parametrize("service", services.MONITORS)
def test_each_worker_has_a_number_and_a_port_of_its_own(service: str) -> None:
    base = Settings()
    own = getattr(base, service)
    free = base.model_copy(update={service: own.model_copy(update={"metrics_port": 0})})
    first, second = services.monitor(free, service, 0), services.monitor(free, service, 1)
    assert (first.process.name, second.process.name) == (f"{service}-0", f"{service}-1")
    assert (first.metrics_name, second.metrics_name) == (service, f"{service}-1")
    environment = second.process.environment
    assert environment[f"ATALAIA_{service.upper()}__WORKER"] == "1"
    assert environment[f"ATALAIA_{service.upper()}__METRICS_PORT"] in second.metrics_url
    assert first.metrics_url != second.metrics_url


def test_monitors_run_where_their_libraries_are(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    assert "gateway" in services.present()

    def without_aiokafka(name: str) -> object:
        return None if name == "aiokafka" else found(name)

    monkeypatch.setattr("atalaia.runtime.services.importlib.util.find_spec", without_aiokafka)
    assert services.present() == ("gateway", "scorer")


def test_a_service_that_listens_everywhere_is_reached_on_loopback() -> None:
    assert services.gateway_url(GatewaySettings(host="0.0.0.0", port=80)) == "http://127.0.0.1:80"  # noqa: S104
    assert services.gateway_url(GatewaySettings(host="::1", port=80)) == "http://[::1]:80"
