"""Dead letters of the monitor of truth: what could not be counted, and why."""

import numpy as np

from atalaia.monitors.units import Publication, Record
from atalaia.topics import DEAD_LETTERS, LABELS, OBSERVATIONS
from atalaia.windows.watermark import IntArray


def unreadable_letter(record: Record, detail: str) -> Publication:
    """A message that is not what its topic holds, with its bytes."""
    headers = {"offset": str(record.offset), "reason": "not_readable", "detail": detail[:2_000]}
    return _letter(
        record.topic.name,
        record.key or "",
        f"{record.topic.name} {record.offset} {record.key}",
        headers,
        record.value or b"",
    )


def shed_letters(model: str, offsets: IntArray) -> list[Publication]:
    """Rows that found no room in the join, by the messages of `observations` they lay in."""
    if not len(offsets):
        return []
    first, last = int(offsets.min()), int(offsets.max())
    headers = {
        "offset": str(first),
        "end": str(last + 1),
        "model": model,
        "reason": "label_shed",
        "detail": f"{len(offsets)} rows beyond labels.most_rows: they are counted without a label for good",
        "rows": str(len(offsets)),
        "offsets": ",".join(str(offset) for offset in np.unique(offsets).tolist()[:1_000]),
    }
    return [_letter(OBSERVATIONS.name, model, f"{model} shed {first} {last + 1}", headers, b"")]


def settings_letter(model: str, offset: int, detail: str) -> Publication:
    """A change of settings that makes no sense, and is not taken."""
    headers = {"offset": str(offset), "model": model, "reason": "settings_wrong", "detail": detail[:2_000]}
    return _letter(OBSERVATIONS.name, model, f"{model} settings {offset}", headers, b"")


def moved_label(record: Record, model: str) -> Publication:
    """A label that lay on another partition than its model's; its accepted time is kept."""
    headers = (("accepted", str(record.timestamp_ms).encode()),)
    subject = f"{model} moved {record.offset} {record.timestamp_ms}"
    return Publication(LABELS, model, subject, record.value or b"", subject, once=True, headers=headers)


def _letter(topic: str, key: str, subject: str, headers: dict[str, str], value: bytes) -> Publication:
    encoded = (("topic", topic.encode()), *((name, text.encode()) for name, text in headers.items()))
    return Publication(DEAD_LETTERS, key, subject, value, headers["reason"], once=True, headers=encoded)
