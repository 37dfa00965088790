"""Everything on one machine: Kafka, Redis and the services, in one context."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from atalaia.errors import SettingsError, StreamUnavailable
from atalaia.runtime import kafka, redis, services
from atalaia.runtime.jars import Progress, fetch_jars
from atalaia.runtime.java import find_java
from atalaia.runtime.ports import claim_port
from atalaia.runtime.probes import answers_redis, ask_kafka
from atalaia.runtime.processes import ProcessSpec, Report
from atalaia.runtime.services import KNOWN, MONITORS, Service
from atalaia.runtime.supervisor import Supervisor, silent
from atalaia.settings import Settings

_GIVEN_SECONDS = 10.0


@dataclass(frozen=True)
class Addresses:
    """Where the parts of a machine answer; in the form that ``atalaia up --json`` prints."""

    gateway: str | None
    kafka: str
    redis: str
    metrics: dict[str, str]


class Machine:
    """A running machine; leaving the context leaves nothing running.

    Parameters
    ----------
    settings : what is given (a Kafka, a Redis, ports); a port of 0 becomes a free one
    state_dir : data, logs and deployed bundles; the same folder goes on with the same data
    services : those to start, of `atalaia.runtime.services.KNOWN`
    scorers : how many replicas of the scorer, named ``scorer-0`` and on; None is as the settings say
    prepare : called with the resolved settings when Kafka and Redis are ready, before the services start:
        the place to create topics and deploy models
    report : takes a line whenever something starts, ends or is started again
    progress : takes the name of each of Kafka's jars when they must be fetched first
    """

    def __init__(
        self,
        settings: Settings,
        state_dir: Path,
        *,
        services: Sequence[str] = ("gateway", "scorer"),
        scorers: int | None = None,
        prepare: Callable[[Settings], None] | None = None,
        report: Report = silent,
        progress: Progress = silent,
    ) -> None:
        unknown = set(services) - set(KNOWN)
        if unknown:
            raise ValueError(f"unknown services {sorted(unknown)}; those of a machine are {', '.join(KNOWN)}")
        self.state_dir = state_dir.expanduser().resolve()
        self.settings = settings
        self._services = services
        wanted = settings.scorer.processes if scorers is None else scorers
        self._scorers = wanted if "scorer" in services else 0
        self._prepare = prepare
        self._progress = progress
        self._metrics: dict[str, tuple[str, str]] = {}
        self._starts_kafka = settings.kafka.bootstrap_servers is None
        self._starts_redis = settings.redis.url is None
        self._stack = ExitStack()
        self.supervisor = Supervisor(self.state_dir / "logs", report=report)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start everything and wait until it is ready; `close` afterwards, whatever happens.

        Raises
        ------
        RuntimeMissing
            when the machine lacks a program.
        PortTaken
            when a port is in use.
        SettingsError
            when the state directory is in use or cannot be written.
        StreamUnavailable
            when a given Kafka or Redis does not answer.
        StartFailed
            when a process does not come up.
        """
        self._stack.enter_context(_exclusive(self.state_dir))
        self._resolve()
        self.supervisor.start(*self._infrastructure())
        if self._prepare is not None:
            self._prepare(self.settings)
        members: list[Service] = []
        if "gateway" in self._services:
            members += services.gateways(self.settings, _emptied(self.state_dir / "metrics"))
        members += [services.scorer(self.settings, replica) for replica in range(self._scorers)]
        members += [services.monitor(self.settings, name, 0) for name in MONITORS if name in self._services]
        self.supervisor.start(*(self._known(member) for member in members))

    def close(self) -> None:
        """Stop everything that was started, services first."""
        self.supervisor.close()
        self._stack.close()

    @property
    def addresses(self) -> Addresses:
        """Where everything answers now."""
        return Addresses(
            kafka=self.settings.kafka.bootstrap_servers or "",
            redis=self.settings.redis.url or "",
            gateway=services.gateway_url(self.settings.gateway) if "gateway" in self._services else None,
            metrics=dict(self._metrics.values()),
        )

    def add(self, spec: ProcessSpec) -> None:
        """Run a further process of any kind, and wait until it is ready."""
        self.supervisor.start(spec)

    def add_scorer(self, replica: int) -> str:
        """Run one more scorer, ready or not; its name. `supervisor.wait_ready` waits for it."""
        member = services.scorer(self.settings, replica)
        self.supervisor.add(self._known(member))
        return member.process.name

    def add_worker(self, service: str, worker: int) -> str:
        """Run one more worker of a service that keeps monitors, ready or not; its name."""
        member = services.monitor(self.settings, service, worker)
        self.supervisor.add(self._known(member))
        return member.process.name

    def stop(self, name: str, *, grace_seconds: float | None = None) -> None:
        """Stop a process for good: SIGTERM, after the grace SIGKILL (at once for 0)."""
        self.supervisor.stop(name, grace_seconds=grace_seconds)
        self._metrics.pop(name, None)

    def kill(self, name: str) -> int | None:
        """SIGKILL a process, as a crash would; it is started again. Its former process id."""
        return self.supervisor.kill(name)

    def pid(self, name: str) -> int | None:
        """A process's id; None while it is down."""
        return self.supervisor.pid(name)

    def restarts(self, name: str) -> int:
        """How often a process was started again."""
        return self.supervisor.restarts(name)

    def _known(self, member: Service) -> ProcessSpec:
        self._metrics[member.process.name] = (member.metrics_name, member.metrics_url)
        return member.process

    def _resolve(self) -> None:
        """Claim every port and put every address into the settings, before anything is started."""
        given = self.settings
        store = given.bundles.store or self.state_dir / "bundles"
        updates: dict[str, object] = {"bundles": given.bundles.model_copy(update={"store": store})}
        if self._starts_kafka:
            port = claim_port(given.kafka.port, setting="ATALAIA_KAFKA__PORT")
            controller = claim_port(given.kafka.controller_port, setting="ATALAIA_KAFKA__CONTROLLER_PORT")
            address = f"{kafka.HOST}:{port}"
            updates["kafka"] = given.kafka.model_copy(
                update={"port": port, "controller_port": controller, "bootstrap_servers": address}
            )
        if self._starts_redis:
            port = claim_port(given.redis.port, setting="ATALAIA_REDIS__PORT")
            updates["redis"] = given.redis.model_copy(
                update={"port": port, "url": f"redis://{redis.HOST}:{port}/0"}
            )
        if "gateway" in self._services:
            port = claim_port(given.gateway.port, setting="ATALAIA_GATEWAY__PORT", host=given.gateway.host)
            own = given.gateway.model_copy(update={"port": port})
            updates["gateway"] = own.model_copy(update={"url": services.gateway_url(own)})
        self.settings = given.model_copy(update=updates)

    def _infrastructure(self) -> list[ProcessSpec]:
        """Kafka and Redis, where they are ours to start; those given must answer."""
        specs = []
        if self._starts_redis:
            port = self.settings.redis.port
            specs.append(redis.server(redis.find_programs(), folder=self.state_dir / "redis", port=port))
        elif not answers_redis(self.settings.redis.url or "", timeout_seconds=_GIVEN_SECONDS):
            raise StreamUnavailable(
                "the Redis given with ATALAIA_REDIS__URL does not answer PING. "
                "Is it running, and are address and password right? Without that setting one is started here."
            )
        if self._starts_kafka:
            specs.append(self._broker())
        else:
            self._ask_given_kafka()
        return specs

    def _broker(self) -> ProcessSpec:
        java = find_java()
        own = self.settings.kafka
        return kafka.broker(
            java=java,
            jars=fetch_jars(java, progress=self._progress),
            folder=self.state_dir / "kafka",
            port=own.port,
            controller_port=own.controller_port,
        )

    def _ask_given_kafka(self) -> None:
        own = self.settings.kafka
        servers = own.bootstrap_servers or ""
        try:
            ask_kafka(servers, own.client, timeout_seconds=_GIVEN_SECONDS)
        except StreamUnavailable as error:
            raise StreamUnavailable(
                f"the Kafka given with ATALAIA_KAFKA__BOOTSTRAP_SERVERS, {servers}, does not answer "
                f"({error}). Is it running, and is the address right? "
                "Without that setting one is started here."
            ) from error


def _emptied(folder: Path) -> Path:
    """The folder without what an earlier machine left there."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


@contextmanager
def _exclusive(state_dir: Path) -> Iterator[None]:
    """The state directory, for this machine alone; a lock that ends with the process, however it ends."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(
            f"the state directory {state_dir} cannot be written ({error.strerror}). "
            "Give another with --state-dir."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SettingsError(
            f"another machine is running on the state directory {state_dir}. "
            "Stop it, or give another directory with --state-dir."
        ) from None
    else:
        yield
    finally:
        os.close(descriptor)
