"""What an operator sets of a model's monitors: tables that overlay the bundle's, by dotted names."""

import copy
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from atalaia.errors import SettingsError

Tables = dict[str, Any]
_BARE = re.compile(r"[A-Za-z0-9_.-]+")


def read_assignment(text: str) -> tuple[tuple[str, ...], Any]:
    """The name, by its parts, and the value of ``table.name=value``; values as TOML, or a bare word.

    Raises
    ------
    SettingsError
        where it is not of that form.

    >>> read_assignment("drift.window=30m"), read_assignment("drift.effect = 0.1")
    ((('drift', 'window'), '30m'), (('drift', 'effect'), 0.1))
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"{text!r} sets nothing; expected NAME=VALUE, as drift.window=30m")
    return read_name(name), _value(name.strip(), value.strip())


def read_name(name: str) -> tuple[str, ...]:
    """The parts of a dotted name, at least two.

    >>> read_name("drift.dependence.sodium")
    ('drift', 'dependence', 'sodium')
    """
    parts = tuple(part.strip() for part in name.split("."))
    if len(parts) < 2 or not all(parts):
        raise SettingsError(f"{name.strip()!r} names no setting; expected TABLE.NAME, as drift.window")
    return parts


def read_tables(content: str) -> Tables:
    """The tables of a TOML file, with or without ``monitors`` around them.

    >>> read_tables("[monitors.drift]\\neffect = 0.1") == read_tables("[drift]\\neffect = 0.1")
    True
    """
    try:
        tables = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not TOML: {error}") from error
    inner = tables.get("monitors")
    return inner if isinstance(inner, dict) and len(tables) == 1 else tables


def assign(overlay: Mapping[str, Any], assignments: Iterable[tuple[tuple[str, ...], Any]]) -> Tables:
    """The overlay with these values set.

    >>> assign({"drift": {"q": 0.1}}, [(("drift", "effect"), 0.2)])
    {'drift': {'q': 0.1, 'effect': 0.2}}
    """
    tables: Tables = copy.deepcopy(dict(overlay))
    for path, value in assignments:
        table = tables
        for place, part in enumerate(path[:-1]):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise SettingsError(f"{'.'.join(path[: place + 1])} is a value, expected a table")
        table[path[-1]] = value
    return tables


def merge(overlay: Mapping[str, Any], tables: Mapping[str, Any]) -> Tables:
    """The overlay with the settings of some tables in place of its own.

    >>> merge({"drift": {"q": 0.1}}, {"drift": {"effect": 0.2}})
    {'drift': {'q': 0.1, 'effect': 0.2}}
    """
    stray = [name for name, table in tables.items() if not isinstance(table, Mapping)]
    if stray:
        raise SettingsError(f"{', '.join(stray)}: expected tables, as [drift]")
    settings = [((table, name), value) for table, names in tables.items() for name, value in names.items()]
    return assign(overlay, settings)


def unset(overlay: Mapping[str, Any], names: Iterable[str]) -> Tables:
    """The overlay without some settings, or whole tables, so that the bundle's own hold again.

    Raises
    ------
    SettingsError
        naming a setting that was not set.

    >>> unset({"drift": {"q": 0.1}, "fairness": {"depth": 1}}, ["drift.q", "fairness"])
    {}
    """
    tables: Tables = copy.deepcopy(dict(overlay))
    for name in names:
        path = (name.strip(),) if "." not in name else read_name(name)
        tables = _without(tables, path, name)
    return tables


def flatten(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their dotted names, one level of tables deep.

    >>> flatten({"drift": {"q": 0.1}})
    {'drift.q': 0.1}
    """
    return {
        f"{table}.{name}": value
        for table, settings in tables.items()
        if isinstance(settings, Mapping)
        for name, value in settings.items()
    }


def _without(tables: Tables, path: tuple[str, ...], name: str) -> Tables:
    if path[0] not in tables:
        raise SettingsError(
            f"{name} was not set, so it cannot be unset; `atalaia monitors show` lists what is"
        )
    if len(path) == 1:
        return {key: value for key, value in tables.items() if key != path[0]}
    inner = tables[path[0]]
    if not isinstance(inner, dict):
        raise SettingsError(f"{path[0]} is a value, not a table: {name} cannot be unset")
    left = _without(inner, path[1:], name)
    return {key: left if key == path[0] else value for key, value in tables.items() if key != path[0] or left}


def _value(name: str, text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if _BARE.fullmatch(text):
            return text
        raise SettingsError(f"{name}={text}: neither a TOML value nor a bare word ({error})") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{name}={text}: expected a finite number")
    return value
