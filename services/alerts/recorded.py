"""Silences and acknowledgements, followed in a thread of their own."""

import threading
import time
from datetime import UTC, datetime

import msgspec
import structlog
from confluent_kafka import KafkaException

from atalaia.alerts import AlertEvent, ShownAlert, SilenceRecord, show
from atalaia.errors import StreamUnavailable
from atalaia.settings import KafkaSettings
from atalaia.stream.logs import LogReader
from atalaia.topics import SILENCES

_RETRY_SECONDS = 2.0
_log = structlog.get_logger()


class Recorded:
    """What people recorded about alerts, as far as it has been read; safe between threads."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._records: dict[str, SilenceRecord] = {}
        self._read = threading.Event()
        self._thread = threading.Thread(target=self._run, name="silences", daemon=True)

    def start(self) -> None:
        """Begin to follow; Kafka may be away."""
        self._thread.start()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until all was read once; whether it was."""
        return self._read.wait(timeout_seconds)

    def show(self, event: AlertEvent) -> ShownAlert:
        """An alert under what is recorded now."""
        records = list(self._records.values())
        [shown] = show(
            [event],
            [entry.silence for entry in records if entry.silence is not None],
            [entry.acknowledgement for entry in records if entry.acknowledgement is not None],
            now=datetime.now(UTC),
        )
        return shown

    def _run(self) -> None:
        while True:
            try:
                with LogReader(self._kafka, (SILENCES,)) as reader:
                    self._follow(reader)
            except (StreamUnavailable, KafkaException) as error:
                _log.warning("silences cannot be read, trying again", reason=str(error))
            time.sleep(_RETRY_SECONDS)

    def _follow(self, reader: LogReader) -> None:
        """From the beginning; what was known before holds until all has been read anew."""
        records: dict[str, SilenceRecord] = {}
        while True:
            messages = reader.read(timeout_seconds=0.2)
            for message in messages:
                take_record(records, (message.key() or b"").decode("utf-8", "replace"), message.value())
            if reader.at_end and (messages or not self._read.is_set()):
                self._records = dict(records)
                self._read.set()


def take_record(records: dict[str, SilenceRecord], key: str, value: bytes | None) -> None:
    """A record, in log order; None takes it back, and one that cannot be read says nothing."""
    if value is None:
        records.pop(key, None)
        return
    try:
        records[key] = msgspec.json.decode(value, type=SilenceRecord)
    except msgspec.DecodeError as error:
        _log.error("record skipped", topic=SILENCES.name, key=key, reason=str(error))
