"""The way from the outbox to Kafka, which may take longer than a step."""

from collections.abc import Sequence
from typing import Protocol

from atalaia.state.fence import OutboxEntry, Unit


class Publisher(Protocol):
    """Takes what steps put into outboxes, in order, and tells what Kafka has."""

    def publish(self, unit: Unit, entries: Sequence[OutboxEntry]) -> None:
        """Send in this order; what is on its way already is not sent again."""

    def collect(self) -> dict[Unit, list[bytes]]:
        """Ids of what Kafka has acknowledged since this was last asked.

        Raises
        ------
        NotPublished
            where Kafka refused a message for good.
        """
