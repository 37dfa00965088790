"""Every accepted row is counted once: rows of the log against what the windows add up to, by primary."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from atalaia.auditing.published import Published, latest, read_result
from atalaia.records import Observation
from atalaia.settings import KafkaSettings
from atalaia.stream.ledger import read_topic
from atalaia.topics import DRIFT, OBSERVATIONS

_TRAFFIC = ("primary", "canary")


@dataclass
class Counts:
    """Rows as they lie on `observations`, and as windows count them; a canary's are among its primary's."""

    observed: int = 0
    in_windows: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    ahead: int = 0

    @property
    def wrong(self) -> list[str]:
        """What does not add up, in words."""
        counted = self.in_windows.total() + self.late.total() + self.ahead
        if counted == self.observed:
            return []
        of_them = f"{dict(self.in_windows)} in windows, {dict(self.late)} late, {self.ahead} ahead of time"
        return [f"rows counted: {self.observed} rows were observed, {counted} counted: {of_them}"]


def add_up(rows: Iterable[Observation], results: Iterable[Published]) -> Counts:
    """Count both, of results of `drift`."""
    counts = Counts()
    for observation in rows:
        for section in observation.models:
            if section.role in _TRAFFIC:
                counts.observed += int(section.rows.numpy().sum())
    primary = (one for one in latest(results).values() if one.place.stream.role == "primary")
    for published in sorted(primary, key=lambda one: one.place.window.end_ms):
        version = published.place.stream.version
        counts.in_windows[version] += published.body["n"]
        counts.late[version] = max(counts.late[version], published.body["late_rows"])
        counts.ahead = max(counts.ahead, published.body["ahead_rows"])
    return counts


def read_counts(kafka: KafkaSettings) -> Counts:
    """Both from the topics."""
    decode = msgspec.json.Decoder(Observation).decode
    return add_up(
        (decode(message.value() or b"") for message in read_topic(kafka, OBSERVATIONS)),
        (
            read_result(DRIFT.name, value)
            for message in read_topic(kafka, DRIFT)
            if (value := message.value()) is not None
        ),
    )
