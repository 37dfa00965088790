"""What `atalaia status` gathers: each part by itself, so that one that is down hides no other."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from confluent_kafka import Message

from atalaia.alerts import Acknowledgement, AlertEvent, Silence, SilenceRecord
from atalaia.alerts import show as show_alerts
from atalaia.deployments import current_primary, default_model, deployed_version
from atalaia.errors import AtalaiaError, StreamUnavailable
from atalaia.records import ModelRecord
from atalaia.results import DriftResult, FairnessResult, PerformanceResult, Result
from atalaia.settings import Settings
from atalaia.state.stored import StoredFence, read_fences
from atalaia.stream.deployed import take_model
from atalaia.stream.lag import Partitions, Waiting
from atalaia.stream.logs import LogReader
from atalaia.topics import (
    ALERTS,
    DEAD_LETTERS,
    DRIFT,
    FAIRNESS,
    LABELS,
    MODELS,
    OBSERVATIONS,
    PERFORMANCE,
    REQUESTS,
    SILENCES,
    Topic,
)

HOUR_MS = 3_600_000
_READ_SECONDS = 20.0
_MONITORS: dict[str, tuple[Topic, ...]] = {
    "drift": (OBSERVATIONS,),
    "fairness": (OBSERVATIONS, LABELS),
    "alerts": (OBSERVATIONS,),
}
_RESULTS: dict[Topic, type[Result]] = {
    DRIFT: DriftResult,
    PERFORMANCE: PerformanceResult,
    FAIRNESS: FairnessResult,
}
_TABLES = (MODELS, ALERTS, SILENCES, DEAD_LETTERS, *_RESULTS)

Part = dict[str, Any]


@dataclass(slots=True)
class Status:
    """One look; ``problems`` says in words what is unreachable or stuck."""

    kafka: Part = field(default_factory=dict)
    redis: Part = field(default_factory=dict)
    models: list[Part] = field(default_factory=list)
    services: dict[str, Part] = field(default_factory=dict)
    observations: list[Part] = field(default_factory=list)
    alerts: list[Part] = field(default_factory=list)
    dead_letters: Part = field(default_factory=dict)
    results: list[Part] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything answers and moves."""
        return not self.problems


def look(settings: Settings) -> Status:
    """Everything that can be seen now."""
    status = Status()
    fences = _look_at_redis(settings, status)
    try:
        with Partitions(settings.kafka) as partitions:
            status.kafka = {"reachable": True, "brokers": partitions.check()}
            _attempt(status, lambda: _look_at_tables(settings, status))
            _attempt(status, lambda: _look_at_services(settings, partitions, fences, status))
            _attempt(status, lambda: _look_at_observations(partitions, status))
    except AtalaiaError as error:
        status.kafka = {"reachable": False, "error": str(error)}
        status.problems.append(str(error))
    return status


def _attempt(status: Status, part: Callable[[], None]) -> None:
    try:
        part()
    except StreamUnavailable as error:
        status.problems.append(str(error))


def _look_at_redis(settings: Settings, status: Status) -> list[StoredFence] | None:
    url = settings.redis.url
    if url is None:
        text = "no Redis is set; set ATALAIA_REDIS__URL, as `atalaia up` prints it"
        status.redis = {"reachable": False, "error": text}
        status.problems.append(text)
        return None
    try:
        fences = read_fences(url)
    except AtalaiaError as error:
        status.redis = {"reachable": False, "error": str(error)}
        status.problems.append(str(error))
        return None
    status.redis = {"reachable": True, "units": len(fences)}
    return fences


def _look_at_tables(settings: Settings, status: Status) -> None:
    tables = read_tables(settings)
    records: dict[str, ModelRecord] = {}
    for message in tables[MODELS]:
        take_model(records, message)
    status.models = models(records.values())
    status.alerts = current_alerts(_values(tables[ALERTS]), _values(tables[SILENCES]), datetime.now(UTC))
    status.dead_letters = dead_letters(tables[DEAD_LETTERS], now_ms=round(time.time() * 1000))
    for topic, kind in _RESULTS.items():
        found = (msgspec.json.decode(value, type=kind) for value in _values(tables[topic]))
        status.results += latest_results(topic.name, found)


def read_tables(settings: Settings) -> dict[Topic, list[Message]]:
    """The messages of the topics that are read whole.

    Raises
    ------
    StreamUnavailable
        where they are not there, or cannot be read to their ends.
    """
    names = {settings.kafka.topic_prefix + topic.name: topic for topic in _TABLES}
    found: dict[Topic, list[Message]] = {topic: [] for topic in _TABLES}
    until = time.monotonic() + _READ_SECONDS
    with LogReader(settings.kafka, _TABLES) as reader:
        while not reader.at_end:
            for message in reader.read(timeout_seconds=0.2):
                found[names[message.topic() or ""]].append(message)
            if time.monotonic() > until:
                raise StreamUnavailable(f"the topics could not be read to their ends in {_READ_SECONDS:g} s")
    return found


def models(records: Iterable[ModelRecord]) -> list[Part]:
    """The versions deployed, models by age, and which of them answer."""
    known = sorted(records, key=lambda record: (record.created_at, record.name))
    default = default_model(known)
    answer = []
    for record in known:
        for version in dict.fromkeys(entry.version for entry in reversed(record.deployments)):
            entry = deployed_version(record, version)
            if entry is not None:
                current = entry is current_primary(record) or entry.role != "primary"
                answer.append(
                    {
                        "model": record.name,
                        "version": version,
                        "role": entry.role,
                        "current": current,
                        "default": record.name == default,
                        "since": entry.deployed_at,
                    }
                )
    return answer


def current_alerts(events: Iterable[bytes], silences: Iterable[bytes], now: datetime) -> list[Part]:
    """Alerts that are pending or firing, with who silenced or acknowledged them."""
    people = [msgspec.json.decode(value, type=SilenceRecord) for value in silences]
    silenced: list[Silence] = [entry.silence for entry in people if entry.silence is not None]
    seen: list[Acknowledgement] = [
        entry.acknowledgement for entry in people if entry.acknowledgement is not None
    ]
    told = [msgspec.json.decode(value, type=AlertEvent) for value in events]
    shown = show_alerts(told, silenced, seen, now=now)
    names = ("status", "severity", "model", "version", "monitor", "subject", "since", "fingerprint")
    return [
        {name: getattr(entry.event, name) for name in names}
        | {"silenced_by": list(entry.silenced_by), "acknowledged_by": list(entry.acknowledged_by)}
        for entry in shown
        if entry.event.status != "resolved"
    ]


def dead_letters(messages: Sequence[Message], *, now_ms: int) -> Part:
    """How many there are, and how many of the last hour, by reason."""
    recent = [message for message in messages if message.timestamp()[1] > now_ms - HOUR_MS]
    reasons: dict[str, int] = {}
    for message in recent:
        reason = dict(message.headers() or ()).get("reason")
        name = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else "unknown"
        reasons[name] = reasons.get(name, 0) + 1
    return {"total": len(messages), "last_hour": len(recent), "reasons": reasons}


def latest_results(topic: str, results: Iterable[Result]) -> list[Part]:
    """The last window of each model, version and role, as its last revision says."""
    latest: dict[tuple[str, str, str], Result] = {}
    for result in results:
        key = result.model, result.version, result.role
        if key not in latest or _order(latest[key]) <= _order(result):
            latest[key] = result
    return [
        {
            "monitor": topic,
            "model": result.model,
            "version": result.version,
            "role": result.role,
            "window": msgspec.to_builtins(result.window),
            "revision": result.revision,
            "provisional": result.provisional,
            "n": getattr(result, "n", None),
        }
        for _, result in sorted(latest.items())
    ]


def _order(result: Result) -> tuple[str, str, int, int, int]:
    cut = result.cut
    return (
        result.window.end,
        result.window.start,
        cut.generation,
        cut.observations,
        -1 if cut.labels is None else cut.labels,
    )


def _look_at_services(
    settings: Settings, partitions: Partitions, fences: list[StoredFence] | None, status: Status
) -> None:
    now_ms = round(time.time() * 1000)
    waiting = partitions.waiting(REQUESTS, partitions.committed(REQUESTS))
    _add_service(status, "scorer", REQUESTS, waiting, now_ms=now_ms, stuck_seconds=_SCORER_STUCK_SECONDS)
    if fences is None:
        return
    for service, topics in _MONITORS.items():
        stuck_seconds = getattr(settings, service).stuck_after
        for topic in topics:
            positions = fence_positions(fences, service, topic, settings.kafka.topic_prefix)
            waiting = partitions.waiting(topic, positions)
            _add_service(status, service, topic, waiting, now_ms=now_ms, stuck_seconds=stuck_seconds)


_SCORER_STUCK_SECONDS = 30.0


def fence_positions(
    fences: Iterable[StoredFence], service: str, topic: Topic, prefix: str
) -> dict[int, int | None]:
    """What a service's fences say of each partition of a topic; None where it has no state."""
    positions: dict[int, int | None] = dict.fromkeys(range(topic.partitions))
    for unit, fence in fences:
        if unit.service == service:
            named = {name.removeprefix(prefix): position for name, position in fence.positions.items()}
            positions[unit.partition] = named.get(topic.name)
    return positions


def _add_service(
    status: Status, service: str, topic: Topic, waiting: list[Waiting], *, now_ms: int, stuck_seconds: float
) -> None:
    lag = sum(entry.lag for entry in waiting)
    oldest = [entry.oldest_ms for entry in waiting if entry.oldest_ms is not None]
    seconds = max(0.0, (now_ms - min(oldest)) / 1000) if oldest else None
    part = status.services.setdefault(service, {"lag": 0, "waiting_seconds": None, "topics": {}})
    part["lag"] += lag
    part["waiting_seconds"] = max((part["waiting_seconds"], seconds), key=lambda value: value or 0.0)
    part["topics"][topic.name] = [
        {"partition": entry.partition, "position": entry.position, "end": entry.end, "lag": entry.lag}
        for entry in waiting
    ]
    if seconds is not None and seconds > stuck_seconds:
        status.problems.append(
            f"{service}: {lag:,} messages of {topic.name} wait, one since {seconds:,.0f} s; does it run?"
        )


def _look_at_observations(partitions: Partitions, status: Status) -> None:
    now_ms = round(time.time() * 1000)
    for partition, message in partitions.last(OBSERVATIONS).items():
        if message is not None:
            age = max(0, now_ms - message.timestamp()[1]) / 1000
            status.observations.append(
                {"partition": partition, "position": message.offset(), "age_seconds": age}
            )


def _values(messages: Iterable[Message]) -> list[bytes]:
    return [value for message in messages if (value := message.value()) is not None]
