"""What a unit asks of the log it reads, beside the records it is given."""

from typing import Protocol

from atalaia.topics import Topic


class Log(Protocol):
    """The input topics as they are now."""

    def topic_ids(self, topics: tuple[Topic, ...]) -> dict[str, str]:
        """Kafka's own id of each topic, by name: a topic made anew has another."""

    def bounds(self, topic: Topic, partition: int) -> tuple[int, int]:
        """First position and end of a partition."""

    def offsets(self, topic: Topic, partition: int, start: int, end: int) -> list[int]:
        """Where the committed records of positions [start, end) lie."""

    def next_offset(self, topic: Topic, partition: int, position: int) -> int | None:
        """Where the first committed record at or after a position lies; None where there is none."""
