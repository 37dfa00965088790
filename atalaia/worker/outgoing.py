"""What a monitor publishes, as it waits in the outbox and as it goes to Kafka."""

import msgspec

from atalaia.monitors.units import Publication
from atalaia.state.fence import OutboxEntry

SOURCE, SUBJECT = "ce_source", "ce_subject"
CONTENT = "content"
"""Header: a digest of what the message says of its subject, revision and cut aside."""
GENERATION = "generation"
"""Header: how often the state it comes from had been made anew."""

Headers = list[tuple[str, bytes]]


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """One message; ``topic`` is without the prefix."""

    topic: str
    key: str
    value: bytes
    headers: Headers

    @classmethod
    def of(cls, entry: OutboxEntry) -> "Outgoing":
        """The message of an entry of the outbox."""
        return msgspec.msgpack.decode(entry.payload, type=cls)


def source_of(service: str) -> str:
    """The CloudEvents source of a service.

    >>> source_of("drift")
    '/atalaia/drift'
    """
    return f"/atalaia/{service}"


def outbox_entry(publication: Publication, *, service: str, generation: int, time: str) -> OutboxEntry:
    """A publication in the outbox: a CloudEvent in Kafka's binary mode, headers of its own last."""
    topic = publication.topic
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": publication.id,
        "ce_type": f"atalaia.{topic.name}",
        SOURCE: source_of(service),
        SUBJECT: publication.subject,
        "ce_time": time,
        "content-type": "application/octet-stream" if topic.value is None else "application/json",
        CONTENT: publication.content,
        GENERATION: str(generation),
    }
    headers = [(name, value.encode()) for name, value in attributes.items()]
    outgoing = Outgoing(topic.name, publication.key, publication.value, [*headers, *publication.headers])
    return OutboxEntry(publication.id.encode(), msgspec.msgpack.encode(outgoing))
