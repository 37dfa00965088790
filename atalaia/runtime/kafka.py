"""A real Apache Kafka on this machine: KRaft, one node, broker and controller in one process."""

import base64
import os
import shutil
import uuid
from pathlib import Path

from atalaia.errors import RuntimeMissing
from atalaia.runtime.probes import answers_kafka, listens
from atalaia.runtime.processes import ProcessSpec
from atalaia.runtime.programs import run_program

HOST = "127.0.0.1"
_JVM = (
    "-Xmx512m",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    # It ends rather than limps; the supervisor starts it again.
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)


def broker(*, java: Path, jars: Path, folder: Path, port: int, controller_port: int) -> ProcessSpec:
    """How the broker is run, its folder formatted and configured.

    Parameters
    ----------
    java, jars : as `find_java` and `fetch_jars` give them
    folder : its data and configuration; the same folder goes on with the same data
    port, controller_port : free ports on the loopback interface

    Raises
    ------
    RuntimeMissing
        when formatting fails, with what it said.
    """
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    configuration, logging = folder / "server.properties", folder / "log4j2.properties"
    logging.write_text(_LOGGING)
    command = [str(java), *_JVM, f"-Dlog4j2.configurationFile={logging.as_uri()}", "-cp", f"{jars}/*"]
    if not data.is_dir():
        _format(command, folder, data, port=port, controller_port=controller_port)
    configuration.write_text(render(broker_properties(data=data, port=port, controller_port=controller_port)))
    address = f"{HOST}:{port}"
    return ProcessSpec(
        name="kafka",
        command=[*command, "kafka.Kafka", str(configuration)],
        environment=dict(os.environ),
        probe=lambda: listens(HOST, port) and answers_kafka(address),
        stage=0,
        # After a crash with much data it reads the segments it had not flushed.
        ready_seconds=120.0,
        stop_seconds=10.0,
    )


def broker_properties(*, data: Path, port: int, controller_port: int) -> dict[str, str]:
    """The broker's settings; what is left out is Kafka's default.

    >>> broker_properties(data=Path("/x"), port=1, controller_port=2)["advertised.listeners"]
    'PLAINTEXT://127.0.0.1:1'
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        # A topic is made by its declaration, never by a misspelt name.
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        # One node holds the only copy of Kafka's own topics; few partitions, as each is a file and a cache.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "2",
        # The first member of a group does not wait for others.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # Readers of committed data wait no longer than this behind a scorer that does not come back.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        "transaction.max.timeout.ms": "60000",
        # A killed broker is not taken back before its former session is over: with these it is ready
        # again 3.6 s after the kill (4.5 s with a session of 3 s, 12 s with the default of 9 s).
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        # Smaller segments, less to read again after a crash.
        "log.segment.bytes": "134217728",
        "num.io.threads": "4",
        "num.network.threads": "2",
    }


def render(properties: dict[str, str]) -> str:
    r"""As a Java properties file.

    >>> render({"log.dirs": "C:\\data"})
    'log.dirs=C:\\\\data\n'
    """
    return "".join(f"{name}={_escape(value)}\n" for name, value in properties.items())


def _escape(value: str) -> str:
    # Java reads \uXXXX of UTF-16 units where a character is not Latin-1.
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    characters = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in characters)


def cluster_id() -> str:
    """A new id in Kafka's form, which may not begin with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text


def _format(command: list[str], folder: Path, data: Path, *, port: int, controller_port: int) -> None:
    """Make the data folder whole or not at all: formatted elsewhere, then renamed."""
    forming = folder / "data.forming"
    shutil.rmtree(forming, ignore_errors=True)
    configuration = folder / "format.properties"
    configuration.write_text(
        render(broker_properties(data=forming, port=port, controller_port=controller_port))
    )
    answer = run_program(
        [*command, "kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", str(configuration)],
        timeout_seconds=120,
    )
    if answer.returncode != 0 or not (forming / "meta.properties").exists():
        raise RuntimeMissing(
            f"Kafka could not format {forming}. Check that the disk has room and the folder can be written, "
            f"or give another with --state-dir. It said:\n{answer.stdout.strip()[-2000:]}"
        )
    forming.rename(data)
    configuration.unlink()


_LOGGING = """\
status = error
appenders = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}Z %p %m (%c{1})%n
rootLogger.level = info
rootLogger.appenderRefs = console
rootLogger.appenderRef.console.ref = console
# Hundreds of lines of configuration at every start.
logger.configuration.name = org.apache.kafka.common.config.AbstractConfig
logger.configuration.level = warn
logger.server.name = kafka.server.KafkaConfig
logger.server.level = warn
logger.partitions.name = state.change.logger
logger.partitions.level = warn
logger.cluster.name = kafka.cluster.Partition
logger.cluster.level = warn
"""
