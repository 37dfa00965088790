"""The gateway as a whole: catalog, exchange, labels, results and log, brought up and taken down together."""

import asyncio
import threading

import structlog

from atalaia.errors import StreamUnavailable
from atalaia.settings import GatewaySettings, Settings
from atalaia.stream.catalog import Catalog, View
from atalaia.telemetry import metrics
from services.gateway import collector
from services.gateway.access.doorkeeper import Doorkeeper
from services.gateway.inference.exchange import Exchange
from services.gateway.inference.served import Served
from services.gateway.kept.keeping import ResultKeeper
from services.gateway.kept.memory import Memory
from services.gateway.problems import Draining, Starting
from services.gateway.publishing import Publisher
from services.gateway.requestlog import RequestLog
from services.gateway.truth.gathering import Gathering
from services.gateway.watching.alertbook import AlertBook
from services.gateway.watching.follower import Follower
from services.gateway.watching.windows import WindowIndex

_log = structlog.get_logger()
_RETRY_SECONDS = 0.5
_FLUSH_SECONDS = 0.5


class Gateway:
    """What the routes stand on.

    It comes up whether Kafka is there or not, and becomes ready when it is: the models have been read and
    its own ping has come back.

    Parameters
    ----------
    settings : read at the entry point
    log : where requests leave their lines

    Raises
    ------
    SettingsError
        as `Doorkeeper`.
    """

    def __init__(self, settings: Settings, log: RequestLog) -> None:
        self.settings: GatewaySettings = settings.gateway
        self.door = Doorkeeper(settings.gateway, settings.access)
        self.log = log
        self.exchange = Exchange(settings.kafka, settings.gateway)
        self.publisher = Publisher(
            settings.kafka,
            timeout_seconds=settings.gateway.deadline,
            max_messages=settings.gateway.max_in_flight + 100,
        )
        self.labels = Gathering(self.publisher)
        self._windows, self._alerts = WindowIndex(), AlertBook()
        self.follower = Follower(settings.kafka, self._windows, self._alerts)
        self.draining = False
        self.listening = True
        self.kafka = settings.kafka
        self._kafka = settings.kafka.bootstrap_servers
        self._catalog: Catalog[Served] = Catalog(settings.kafka, Served)
        self._catalog_read = threading.Event()
        self.memory = Memory(settings.redis.url, settings.kafka.topic_prefix)
        self._keeper = (
            None
            if settings.redis.url is None
            else ResultKeeper(settings.kafka, settings.redis.url, self.memory.shown)
        )
        self._stop = threading.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to reach for Kafka."""
        self.exchange.start()
        if self._keeper is not None:
            self._keeper.start()
        threading.Thread(target=self._read_catalog, name="catalog-start", daemon=True).start()
        self.publisher.start()
        self.follower.start()
        self._tasks = [
            asyncio.create_task(self._flush_log()),
            asyncio.create_task(self.door.watch()),
            asyncio.create_task(self.labels.keep_time(lambda: self.exchange.up)),
        ]

    async def stop(self) -> None:
        """Let go of Kafka and write what the log holds; nothing is in flight any more."""
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._stop_clients)
        await self.memory.close()
        self.log.flush()

    def check_ready(self) -> None:
        """Refuse where a probe should look elsewhere.

        Raises
        ------
        Draining, Starting
        """
        if self.draining:
            raise Draining("this gateway is shutting down")
        self.view()
        if not self.exchange.up:
            raise Starting(f"Kafka at {self._kafka} does not answer")
        if not self.listening:
            raise Starting("this process does not listen at the shared port yet")

    @property
    def able(self) -> bool:
        """Whether requests could be answered, wherever they come in."""
        return self._catalog_read.is_set() and self.exchange.up

    def view(self) -> View[Served]:
        """What is deployed now.

        Raises
        ------
        Starting
            until the deployments have been read once.
        """
        if not self._catalog_read.is_set():
            raise Starting(f"the deployed models have not been read from Kafka at {self._kafka} yet")
        return self._catalog.view

    def windows(self) -> WindowIndex:
        """The results of the monitors.

        Raises
        ------
        Starting
            until they have been read once.
        """
        self._check_read()
        return self._windows

    def alerts(self) -> AlertBook:
        """The alerts, and what people recorded about them.

        Raises
        ------
        Starting
            as `windows`.
        """
        self._check_read()
        return self._alerts

    def _check_read(self) -> None:
        if not self.follower.ready:
            raise Starting(f"the monitors' results have not been read from Kafka at {self._kafka} yet")

    def _read_catalog(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                self._catalog.start()
            except StreamUnavailable as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("models cannot be read, trying again", reason=said)
                self._stop.wait(_RETRY_SECONDS)
            else:
                self._catalog_read.set()
                collector.tame()
                return

    async def _flush_log(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            metrics.GATEWAY_MODELS.set(len(self._catalog.view.loaded))
            self.log.flush()

    def _stop_clients(self) -> None:
        self.exchange.stop()
        if self._keeper is not None:
            self._keeper.stop()
        self.publisher.stop()
        self.follower.stop()
        if self._catalog_read.is_set():
            self._catalog.stop()
