"""Dead letters of a unit itself: what expired unread, and results that Kafka would never take."""

import msgspec

from atalaia.errors import LostByRetention, Refusal, TooLarge
from atalaia.monitors.units import Publication
from atalaia.state.fence import Unit
from atalaia.stream.deadletters import dead_letter_headers
from atalaia.topics import DEAD_LETTERS, Topic


def expired(unit: Unit, topic: Topic, first: int, end: int) -> Publication:
    """Of positions [first, end) that expired before they were read."""
    refusal = LostByRetention(f"positions {first} to {end} expired before {unit.service} read them")
    value = msgspec.json.encode({"from": first, "to": end})
    return _letter(unit, topic, offset=first, subject=f"{first}/{end}", value=value, refusal=refusal)


def too_large(unit: Unit, publication: Publication, offset: int) -> Publication | None:
    """Of a result that its topic would refuse again and again; None of one that fits."""
    topic, size = publication.topic, len(publication.value)
    if size <= topic.max_value_bytes:
        return None
    refusal = TooLarge(f"{publication.subject} has {size} bytes; {topic.name} takes {topic.max_value_bytes}")
    value = publication.content.encode()
    return _letter(unit, topic, offset=offset, subject=publication.subject, value=value, refusal=refusal)


def _letter(
    unit: Unit, topic: Topic, *, offset: int, subject: str, value: bytes, refusal: Refusal
) -> Publication:
    headers = dead_letter_headers(topic=topic.name, partition=unit.partition, offset=offset, refusal=refusal)
    return Publication(
        DEAD_LETTERS,
        key="",
        subject=f"{unit.service}/{topic.name}/{unit.partition}/{subject}",
        value=value,
        content=refusal.code,
        once=True,
        headers=tuple((name, _bytes(value)) for name, value in headers),
    )


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
