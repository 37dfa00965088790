"""A worker as a process: wired from settings, run until SIGTERM, ended whenever its state is in doubt."""

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TypeVar

import redis
import structlog
from prometheus_client import REGISTRY

from atalaia.errors import AtalaiaError, SettingsError, StreamUnavailable
from atalaia.memory import return_freed_memory
from atalaia.monitors.units import Models, PartitionMonitor
from atalaia.settings import MonitorServiceSettings, Settings
from atalaia.state.fence import Unit, configuration_digest
from atalaia.state.redis import RedisState, connect
from atalaia.telemetry import endpoint, logs
from atalaia.topics import Topic
from atalaia.worker.app import Shell
from atalaia.worker.ending import end_process
from atalaia.worker.history import History
from atalaia.worker.kafka_history import read_history, topics_of
from atalaia.worker.kafka_log import KafkaLog
from atalaia.worker.kafka_publisher import KafkaPublisher
from atalaia.worker.metrics import WorkerMetrics
from atalaia.worker.models import DeployedModels
from atalaia.worker.progress import Progress
from atalaia.worker.unit import UnitRunner
from atalaia.worker.units import Report, Units

_RETRY_SECONDS = 0.5
_TICK_SECONDS = 0.1
_REPORT_SECONDS = 1.0
_LEAVE_SECONDS = 2.0
_UNHEALTHY_SECONDS = 2.0
_TALKATIVE = ("aiokafka", "faust", "mode")

_Made = TypeVar("_Made")
_log = structlog.get_logger()

MakeMonitor = Callable[[Models, int], PartitionMonitor]
"""A monitor without state, of a partition."""


class Worker:
    """One worker of a service, from its start to the end of the process.

    Parameters
    ----------
    service : its name, which is the group's and that of the state
    own : the part of the settings that is the service's
    make_monitor : a monitor without state, of a partition
    outputs : the topics it writes; those of the table of topics
    """

    def __init__(
        self,
        service: str,
        settings: Settings,
        own: MonitorServiceSettings,
        make_monitor: MakeMonitor,
        *,
        outputs: Sequence[Topic] | None = None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._own = own
        self._make_monitor = make_monitor
        self._outputs = topics_of(service) if outputs is None else outputs
        self._models = DeployedModels(settings.kafka)
        self._stopping = threading.Event()
        self._healthy = True
        self._report = Report()
        self._shell: Shell | None = None
        self._progress: Progress | None = None
        self._publisher: KafkaPublisher | None = None
        self._metrics = WorkerMetrics(
            service,
            REGISTRY,
            report=lambda: self._report,
            lags=lambda: {} if self._progress is None else self._progress.lags,
            pending=lambda: 0 if self._publisher is None else self._publisher.pending,
        )

    def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises
        ------
        SettingsError, PortTaken, UnsafeRedis
            what only people can mend.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        endpoint.serve(
            self._own.metrics_host,
            self._own.metrics_port,
            lambda: self._shell is not None and self._shell.assigned,
            live=lambda: self._healthy,
            setting=f"ATALAIA_{self._service.upper()}__METRICS_PORT",
        )
        store = self._wait_for(self._connect)
        if self._wait_for(self._start_models) is None or store is None:
            return
        asyncio.run(self._serve(store))

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    def _connect(self) -> RedisState:
        url = self._settings.redis.url
        if url is None:
            raise SettingsError("no Redis to keep state in; set ATALAIA_REDIS__URL=redis://host:port/0")
        return connect(url)

    def _start_models(self) -> bool:
        self._models.start()
        return True

    def _wait_for(self, make: Callable[[], _Made]) -> _Made | None:
        """What is made, tried again while the other side is away; None where a signal came first."""
        while not self._stopping.is_set():
            try:
                return make()
            except (StreamUnavailable, redis.ConnectionError, redis.TimeoutError) as error:
                _log.warning("waiting", reason=str(error))
                self._stopping.wait(_RETRY_SECONDS)
        return None

    async def _serve(self, store: RedisState) -> None:
        kafka = self._settings.kafka
        publisher = self._publisher = KafkaPublisher(kafka)
        log = KafkaLog(kafka)
        units = Units(
            lambda partition, history: self._runner(partition, history, store, log, publisher),
            read_history=lambda: read_history(kafka, self._service, self._outputs),
            store=store,
            publisher=publisher,
            took_seconds=self._metrics.step_seconds.observe,
        )
        shell = self._shell = Shell(
            kafka,
            service=self._service,
            worker=self._own.worker,
            topics=self._make_monitor(self._models, 0).topics,
            units=units,
            step_interval_seconds=self._own.step_interval,
            outlet=publisher,
        )
        threading.Thread(target=self._watch, name="progress", daemon=True).start()
        running = asyncio.create_task(self._run_app(shell))
        await self._tick_until_stopped(shell)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(shell.leave(), _LEAVE_SECONDS)
        publisher.flush(_LEAVE_SECONDS)
        shell.tick()
        running.cancel()
        _log.info("worker leaves")
        # All that matters is stored. Faust's own way out waits for its threads and timers for seconds.
        os._exit(0)

    async def _run_app(self, shell: Shell) -> None:
        try:
            await shell.app.start()
            await shell.app.wait_until_stopped()
        except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor starts anew
            end_process(f"Faust failed: {error}")
        end_process(f"Faust stopped: {shell.app.crash_reason}")

    async def _tick_until_stopped(self, shell: Shell) -> None:
        report_at = 0.0
        while not self._stopping.is_set():
            shell.tick()
            now = time.monotonic()
            # Until it has something to watch, the watch is told at once: a unit may hang at its first step.
            if now >= report_at or not self._report.positions:
                self._report = shell.units.report()
                report_at = now + _REPORT_SECONDS
            await asyncio.sleep(_TICK_SECONDS)

    def _runner(
        self,
        partition: int,
        history: Callable[[], History],
        store: RedisState,
        log: KafkaLog,
        publisher: KafkaPublisher,
    ) -> UnitRunner:
        state_format = self._make_monitor(self._models, partition).state_format
        return UnitRunner(
            Unit(self._service, partition, configuration_digest(state_format)),
            lambda: self._make_monitor(self._models, partition),
            store=store,
            log=log,
            publisher=publisher,
            history=history,
        )

    def _watch(self) -> None:
        progress = Progress(KafkaLog(self._settings.kafka), self._own.stuck_after)
        self._progress = progress
        while not self._stopping.wait(_REPORT_SECONDS):
            try:
                stuck = progress.look(self._report.positions, time.monotonic())
            except StreamUnavailable as error:
                _log.warning("progress unknown", reason=str(error))
                continue
            if stuck:
                self._healthy = False
                names = ", ".join(f"{topic.name}-{partition}" for topic, partition in stuck)
                time.sleep(_UNHEALTHY_SECONDS)
                end_process(f"no progress on {names} for {self._own.stuck_after:g} s")


def run_worker(
    service: str,
    settings: Settings,
    own: MonitorServiceSettings,
    make_monitor: MakeMonitor,
    *,
    outputs: Sequence[Topic] | None = None,
) -> int:
    """Run one worker of a service until SIGTERM; the exit code.

    A worker that is in doubt ends its process with `atalaia.worker.ending.EXIT_CODE`, to be started again.
    """
    return_freed_memory()
    logs.configure(service)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        Worker(service, settings, own, make_monitor, outputs=outputs).run()
    except AtalaiaError as error:
        _log.error("worker ends", reason=str(error))
        return 1
    return 0
