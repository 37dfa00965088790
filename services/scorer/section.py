"""A section of the log: what one transaction makes visible, and the positions it stands for."""

from dataclasses import dataclass, field

from atalaia.errors import Refusal
from atalaia.records import ObservedMark, SourceRange
from services.scorer.intake import Message
from services.scorer.scoring import Scored


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of `requests` that could not be processed."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    refusal: Refusal


@dataclass(slots=True)
class Reach:
    """How far one partition of `requests` has been taken: ``[start, end)``."""

    start: int
    end: int
    at_end: bool = False


@dataclass(slots=True)
class Section:
    """What was scored since the last transaction.

    ``keys`` are those of ``predictions``, ``kept`` the places of those that are to be fetched.
    ``observation_bytes`` bounds the observation it will make.
    """

    reaches: dict[int, Reach]
    opened_at_seconds: float
    keys: list[bytes] = field(default_factory=list)
    predictions: list[bytes] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    marks: list[ObservedMark] = field(default_factory=list)
    rows: int = 0
    observation_bytes: int = 0
    polled_at_ms: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing but time has passed."""
        return not (self.predictions or self.dead_letters or self.moved)

    @property
    def moved(self) -> bool:
        """Whether some position has moved on, if only past transaction markers."""
        return any(reach.end > reach.start for reach in self.reaches.values())

    def add_scored(self, scored: Scored) -> None:
        """Keep answers until they are committed; a shadow's are observed and go to nobody."""
        self.scored.append(scored)
        if scored.shadow:
            return
        self.kept += [len(self.keys) + place for place, asked in scored.asked.items() if asked.kept]
        self.keys += [
            message.key() or request_id.encode()
            for message, request_id in zip(scored.messages, scored.ids, strict=True)
        ]
        self.predictions += scored.responses
        self.rows += len(scored.rows)

    def add_failure(
        self, message: Message, refusal: Refusal, prediction: bytes, *, kept: bool = False
    ) -> None:
        """Keep a dead letter, and the error prediction where the request has a key to find it by."""
        key = message.key()
        self.dead_letters.append(
            DeadLetter(message.partition(), message.offset(), key, message.value(), refusal)
        )
        if key:
            if kept:
                self.kept.append(len(self.keys))
            self.keys.append(key)
            self.predictions.append(prediction)

    def ranges(self) -> list[SourceRange]:
        """The positions covered, for the observation."""
        return [
            SourceRange(partition, reach.start, reach.end, self.polled_at_ms, reach.at_end)
            for partition, reach in sorted(self.reaches.items())
        ]

    def next(self, *, opened_at_seconds: float) -> "Section":
        """The section that begins where this one ends."""
        reaches = {p: Reach(reach.end, reach.end, reach.at_end) for p, reach in self.reaches.items()}
        return Section(reaches, opened_at_seconds, polled_at_ms=self.polled_at_ms)
