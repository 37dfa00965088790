"""``atalaia keys``: the API keys of the gateway, in the file that ``ATALAIA_ACCESS__KEYS_FILE`` names."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, cast

import orjson
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from atalaia.access import SCOPES, Key, Scope, digest_of, new_key, read_keys, write_keys
from atalaia.access.keys import NAME
from atalaia.durations import parse_duration
from atalaia.errors import SettingsError
from atalaia.settings import load

app = typer.Typer(
    name="keys",
    help="Add, list and revoke API keys of the gateway.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_OWNERS_ALONE = 0o600
_LEAST_RATE, _MOST_RATE = 0.001, 1_000_000
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")]
_File = Annotated[
    Path | None,
    typer.Option("--file", dir_okay=False, help="The file of keys (default: ATALAIA_ACCESS__KEYS_FILE)."),
]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Who the key is for; the request log names it.")],
    *,
    scopes: Annotated[str, typer.Option(metavar="SCOPES", help="What it may do: infer,label,admin.")],
    rate: Annotated[
        float | None, typer.Option(min=_LEAST_RATE, max=_MOST_RATE, help="Requests a second (default: any).")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="After so long, 90d for example (default: never).")
    ] = None,
    file: _File = None,
    as_json: _Json = False,
) -> None:
    """Make a key and print it, this once: the file gets its hash alone."""
    if NAME.fullmatch(name) is None:
        raise typer.BadParameter(
            f"{name!r} is no name: letters, digits, `.`, `_` and `-`, 64 at most", param_hint="NAME"
        )
    now = datetime.now(UTC)
    secret = new_key()
    key = Key(name, digest_of(secret.encode()), _scopes(scopes), now, rate, _until(now, expires))
    place = _place(file)
    with _changing(place) as keys:
        namesakes = sum(known.name == name for known in keys)
        _write(place, [*keys, key])
    _say(f"{place} has the hash of this key; the key itself is shown this once:")
    if namesakes:
        _say(
            f"{name} has {namesakes + 1} keys now; `atalaia keys revoke ID` ends one when nobody uses it more"
        )
    typer.echo(orjson.dumps({**_shown(key, now), "key": secret}).decode() if as_json else secret)


@app.command("list")
def show(*, file: _File = None, as_json: _Json = False) -> None:
    """Every key: who has it, what it may do, until when."""
    keys, now = _read(_place(file)), datetime.now(UTC)
    if as_json:
        typer.echo(orjson.dumps([_shown(key, now) for key in keys]).decode())
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("id", "name", "scopes", "rate", "created", "expires"):
        table.add_column(heading)
    for key in keys:
        shown = _shown(key, now)
        until = f"{shown['expires']}{' (expired)' if shown['expired'] else ''}" if key.expires else "never"
        rate = f"{key.rate:g}/s" if key.rate else "any"
        table.add_row(key.id, key.name, ",".join(key.scopes), rate, shown["created"], until)
    Console(highlight=False).print(table)


@app.command("revoke")
def revoke(
    which: Annotated[str, typer.Argument(metavar="NAME|ID", help="All keys of a name, or one by its id.")],
    *,
    file: _File = None,
    as_json: _Json = False,
) -> None:
    """Take keys away; gateways refuse them within a second or two."""
    place = _place(file)
    with _changing(place) as keys:
        gone = [key for key in keys if which in (key.name, key.id)]
        if not gone:
            known = ", ".join(f"{key.name} ({key.id})" for key in keys) or "none"
            raise SettingsError(f"there is no key {which[:80]!r} in {place}; there are {known}")
        _write(place, [key for key in keys if key not in gone])
    _say("revoked " + ", ".join(f"{key.name} ({key.id})" for key in gone))
    if as_json:
        typer.echo(orjson.dumps([_shown(key, datetime.now(UTC)) for key in gone]).decode())


def _scopes(text: str) -> tuple[Scope, ...]:
    given = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [scope for scope in given if scope not in SCOPES]
    if unknown or not given:
        raise typer.BadParameter(
            f"{text!r} are no scopes, expected some of {', '.join(SCOPES)}: infer,label",
            param_hint="--scopes",
        )
    return cast("tuple[Scope, ...]", given)


def _until(now: datetime, duration: str | None) -> datetime | None:
    if duration is None:
        return None
    try:
        return now + timedelta(seconds=parse_duration(duration))
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--expires") from error


def _place(file: Path | None) -> Path:
    found = file or load().access.keys_file
    if found is None:
        raise typer.BadParameter(
            "no file of keys is named: set ATALAIA_ACCESS__KEYS_FILE, which the gateway reads, or give one",
            param_hint="--file",
        )
    return found


def _read(place: Path) -> tuple[Key, ...]:
    try:
        return read_keys(place.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{place} is not UTF-8: {error.reason}") from error
    except OSError as error:
        raise SettingsError(f"{place} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def _changing(place: Path) -> Iterator[tuple[Key, ...]]:
    """The keys of now, which nobody else changes meanwhile; none where there is no file."""
    try:
        folder = os.open(place.parent, os.O_RDONLY)
    except OSError as error:
        raise SettingsError(
            f"{place.parent} cannot be used: {error.strerror}; make the folder first"
        ) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield _read(place) if place.exists() else ()
    finally:
        os.close(folder)


def _write(place: Path, keys: list[Key]) -> None:
    """All at once, so that no gateway reads half of it; readable as before, at first by its owner alone."""
    mode = place.stat().st_mode & 0o777 if place.exists() else _OWNERS_ALONE
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=place.parent, prefix=f".{place.name}.", delete=False
        ) as made:
            made.write(write_keys(keys))
            made.flush()
            os.fchmod(made.fileno(), mode)
            os.fsync(made.fileno())
        Path(made.name).replace(place.resolve())
    except OSError as error:
        raise SettingsError(f"{place} cannot be written: {error.strerror}") from error


def _shown(key: Key, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "rate": key.rate,
        "created": key.created.isoformat(timespec="seconds"),
        "expires": key.expires and key.expires.isoformat(timespec="seconds"),
        "expired": key.expires is not None and key.expires <= now,
    }


def _say(text: str) -> None:
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)
