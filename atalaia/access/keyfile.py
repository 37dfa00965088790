"""The file of keys: TOML that holds hashes, read and written as text."""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from atalaia.access.keys import NAME, SCOPES, Key, Scope
from atalaia.errors import SettingsError

_HEAD = """\
# Keys of the gateway: their hashes, never the keys. Made by `atalaia keys`;
# every gateway reads it again when it changes.
"""
_MARK = "sha256:"
_MEMBERS = {"name", "hash", "scopes", "created", "rate", "expires"}
_DIGEST_BYTES = 32
_EXAMPLE_TIME = "a time such as 2026-01-31T12:00:00Z"
_LEAST_RATE, _MOST_RATE = 0.001, 1_000_000


def read_keys(text: str) -> tuple[Key, ...]:
    """The keys of a file.

    Raises
    ------
    SettingsError
        naming the entry that is wrong, and what was expected of it.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"the file of keys is not TOML: {error}") from error
    entries = content.get("keys", [])
    if content.keys() - {"keys"} or not isinstance(entries, list):
        raise SettingsError("the file of keys holds something else, expected tables [[keys]] alone")
    keys = tuple(_key(entry, f"key {place}") for place, entry in enumerate(entries, start=1))
    seen: set[bytes] = set()
    for place, key in enumerate(keys, start=1):
        if key.digest in seen:
            raise SettingsError(f"key {place} ({key.name}) is there twice; remove one of the two")
        seen.add(key.digest)
    return keys


def write_keys(keys: Iterable[Key]) -> str:
    """The text that `read_keys` reads the same keys from."""
    return _HEAD + "".join(f"\n[[keys]]\n{_lines(key)}" for key in keys)


def _lines(key: Key) -> str:
    scopes = ", ".join(f'"{scope}"' for scope in key.scopes)
    lines = [
        f'name = "{key.name}"',
        f'hash = "{_MARK}{key.digest.hex()}"',
        f"scopes = [{scopes}]",
        f"created = {_time(key.created)}",
    ]
    if key.rate is not None:
        lines.append(f"rate = {float(key.rate)!r}")
    if key.expires is not None:
        lines.append(f"expires = {_time(key.expires)}")
    return "".join(f"{line}\n" for line in lines)


def _time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="microseconds")


def _key(entry: Any, place: str) -> Key:
    if not isinstance(entry, dict):
        raise SettingsError(f"{place} is no table, expected [[keys]]")
    unknown = entry.keys() - _MEMBERS
    if unknown:
        names = ", ".join(sorted(_MEMBERS))
        raise SettingsError(f"{place} has the unknown member {min(unknown)[:40]!r}; there are {names}")
    name = entry.get("name")
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        expected = "letters, digits, `.`, `_` and `-`, 64 at most"
        raise SettingsError(f"{place} has no name that can be used, expected {expected}")
    place = f"{place} ({name})"
    created = _given_time(entry, "created", place)
    if created is None:
        raise SettingsError(f"{place} does not say when it was created, expected {_EXAMPLE_TIME}")
    return Key(
        name=name,
        digest=_digest(entry.get("hash"), place),
        scopes=_scopes(entry.get("scopes"), place),
        created=created,
        rate=_rate(entry.get("rate"), place),
        expires=_given_time(entry, "expires", place),
    )


def _digest(given: Any, place: str) -> bytes:
    """The value is not repeated: someone may have written the key itself there."""
    try:
        digest = bytes.fromhex(str(given).removeprefix(_MARK))
    except ValueError:
        digest = b""
    if not isinstance(given, str) or not given.startswith(_MARK) or len(digest) != _DIGEST_BYTES:
        raise SettingsError(
            f'{place} has a hash that cannot be read, expected "{_MARK}" and 64 hexadecimal digits'
        )
    return digest


def _scopes(given: Any, place: str) -> tuple[Scope, ...]:
    if not isinstance(given, list) or not given or not all(scope in SCOPES for scope in given):
        raise SettingsError(f"{place} has unknown scopes or none, expected some of {', '.join(SCOPES)}")
    return cast("tuple[Scope, ...]", tuple(dict.fromkeys(given)))


def _rate(given: Any, place: str) -> float | None:
    if given is None:
        return None
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or not _LEAST_RATE <= given <= _MOST_RATE
    ):
        expected = f"requests a second, from {_LEAST_RATE} to {_MOST_RATE}"
        raise SettingsError(f"{place} has a rate that is none, expected {expected}")
    return float(given)


def _given_time(entry: Mapping[str, Any], member: str, place: str) -> datetime | None:
    given = entry.get(member)
    if given is None:
        return None
    if not isinstance(given, datetime) or given.tzinfo is None:
        raise SettingsError(f"{place}: {member} is no time with a zone, expected {_EXAMPLE_TIME}")
    try:
        return given.astimezone(UTC)
    except OverflowError as error:
        raise SettingsError(f"{place}: {member} is out of all time, expected {_EXAMPLE_TIME}") from error
