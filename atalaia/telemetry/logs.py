"""Logs as JSON lines, also those of the libraries underneath."""

import logging
import sys
from typing import Any

import orjson
import structlog

_SAME_CHARACTERS = 100
_REPEAT_SECONDS = 10.0


class Seldom(logging.Filter):
    """Lets a line that begins like an earlier one through every ten seconds only.

    librdkafka tells of every attempt to reach a broker that is away, many times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let it through."""
        beginning = record.getMessage()[:_SAME_CHARACTERS]
        if record.created - self._said_at.get(beginning, float("-inf")) < _REPEAT_SECONDS:
            return False
        if len(self._said_at) > 100:
            self._said_at.clear()
        self._said_at[beginning] = record.created
        return True


KAFKA_LOGGER = logging.getLogger("librdkafka")
"""Give it to Kafka clients as ``logger``, so that what librdkafka has to say is a JSON line too."""
KAFKA_LOGGER.addFilter(Seldom())


def configure(service: str, *, level: int = logging.INFO) -> None:
    """Send every log line of this process to stderr, as one JSON object with the name of the service.

    stdout is left to what a service has to say line by line, such as the gateway's request log.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _named(service),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, _to_json],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _to_json,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _named(service: str) -> structlog.typing.Processor:
    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return add


def _to_json(_: object, __: str, event: structlog.typing.EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def as_json_line(entry: dict[str, Any]) -> bytes:
    """One line of JSON; numbers that JSON does not know become null."""
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
