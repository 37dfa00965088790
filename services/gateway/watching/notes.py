"""From what people post about alerts to the records of it. Pure."""

import re
from typing import Annotated, Any, TypeVar

import msgspec

from atalaia.alerts import Acknowledgement, AlertEvent, Monitor, Silence, rfc3339
from atalaia.alerts.events import digest
from atalaia.durations import parse_duration
from atalaia.errors import FieldProblem, InvalidInput, NotReadable
from atalaia.inference.columns import parse_time

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Comment = Annotated[str, msgspec.Meta(max_length=2_000)]
Note = TypeVar("Note", bound=msgspec.Struct)

_ERROR = re.compile(r"^(?P<what>.*?)(?: - at `\$?\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")
_TIME = "an RFC 3339 time such as 2026-01-31T12:00:00Z"


class AcknowledgeNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who has seen an alert."""

    by: Word
    comment: Comment = ""


class Matchers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which alerts a silence covers; what is left out matches all."""

    fingerprint: Word | None = None
    model: Word | None = None
    version: Word | None = None
    monitor: Monitor | None = None
    subject: Word | None = None


class SilenceNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alerts are nobody's call, and for how long."""

    by: Word
    matchers: Matchers
    starts_at: str | None = None
    ends_at: str | None = None
    duration: str | None = None
    comment: Comment = ""


def read_note(body: bytes, kind: type[Note]) -> Note:
    """The body as one of the notes.

    Raises
    ------
    NotReadable, InvalidInput
    """
    fields = ", ".join(field.name for field in msgspec.structs.fields(kind))
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        match = _ERROR.match(str(error))
        what, path = (match["what"], match["path"]) if match else (str(error), "")
        missing = _MISSING.search(what)
        if missing:
            path, what = ".".join(filter(None, [path, missing[1]])), "missing"
        problem = FieldProblem((path or "body")[:200], what[:200], f"an object of {fields}")
        raise InvalidInput([problem]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotReadable(f"the body is not JSON: {error}"[:300]) from error


def acknowledge(note: AcknowledgeNote, event: AlertEvent, *, now_ms: int) -> Acknowledgement:
    """That somebody has seen an alert as it stands; the same person's earlier word on it is replaced."""
    identity = digest("acknowledgement", event.fingerprint, note.by)
    return Acknowledgement(identity, event.fingerprint, event.since, note.by, rfc3339(now_ms), note.comment)


def make_silence(note: SilenceNote, *, identity: str, now_ms: int) -> Silence:
    """The silence somebody asked for.

    Raises
    ------
    InvalidInput
        where it would never silence anything, or its end is said twice or not at all.
    """
    start_ms = now_ms if note.starts_at is None else _time("starts_at", note.starts_at)
    if (note.ends_at is None) == (note.duration is None):
        said = "neither is given" if note.ends_at is None else "both are given"
        raise _wrong("ends_at", said, "ends_at or duration")
    if note.ends_at is not None:
        end_ms = _time("ends_at", note.ends_at)
    else:
        end_ms = start_ms + _duration_ms(note.duration or "")
    if end_ms <= max(start_ms, now_ms):
        raise _wrong("ends_at", "over before it begins", "a time after its start, and after now")
    try:
        start, end = rfc3339(start_ms), rfc3339(end_ms)
    except (ValueError, OverflowError, OSError) as error:
        raise _wrong("ends_at", "beyond all calendars", _TIME) from error
    return Silence(identity, start, end, note.by, note.comment, **msgspec.to_builtins(note.matchers))


def shown_silence(silence: Silence) -> dict[str, Any]:
    """A silence as it was asked for: its matchers in a member of their own."""
    members = msgspec.to_builtins(silence)
    matchers = {name: members.pop(name) for name in Matchers.__struct_fields__ if name in members}
    return {"comment": "", **members, "matchers": matchers}


def _time(field: str, text: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        raise _wrong(field, repr(text[:60]), _TIME) from None


def _duration_ms(text: str) -> int:
    try:
        return round(parse_duration(text) * 1000)
    except (ValueError, OverflowError):
        raise _wrong("duration", repr(text[:60]), "a duration such as 30m, 2h or 7d") from None


def _wrong(field: str, problem: str, expected: str) -> InvalidInput:
    return InvalidInput([FieldProblem(field, problem, expected)])
