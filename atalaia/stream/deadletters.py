"""Dead letters: the original bytes of a message that could not be processed, and why."""

from datetime import UTC, datetime

from atalaia.errors import Refusal

Headers = list[tuple[str, str | bytes | None]]
"""Headers as confluent_kafka takes them."""


def dead_letter_headers(*, topic: str, partition: int, offset: int, refusal: Refusal) -> Headers:
    """Where the message lay and why it is dead, as headers of the dead letter."""
    return [
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(offset).encode()),
        ("reason", refusal.code.encode()),
        ("detail", refusal.detail[:2_000].encode()),
        ("time", datetime.now(UTC).isoformat().encode()),
    ]
