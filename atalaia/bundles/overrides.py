"""``--config``: what people know better than the file and the CSV tell."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from atalaia.bundles.manifest import ContextColumn, Feature, Manifest, ModelFile
from atalaia.errors import BundleError

_FROM_FLAGS = frozenset({"name", "version", "format"})
_FROM_THE_MODEL = frozenset({"name", "datatype", "input"})
_BY_NAME = ("features", "context")

Config = dict[str, Any]


def read_config(path: Path | None) -> Config:
    """A config as plain data: fields of the manifest, with ``[features.NAME]`` and ``[context.NAME]`` tables.

    Raises
    ------
    BundleError
        when it cannot be read, or names a field no manifest has.
    """
    if path is None:
        return {}
    try:
        config = tomllib.loads(path.read_text())
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} is not TOML: {error}") from error
    known = set(_fields(Manifest)) - _FROM_FLAGS
    _refuse_unknown(path, "", config, known)
    _refuse_unknown(path, "model.", config.get("model", {}), set(_fields(ModelFile)))
    for part in _BY_NAME:
        if not isinstance(config.get(part, {}), dict):
            raise BundleError(f"{path}: {part} is a list, expected tables [{part}.NAME]")
    return config


def apply_config(manifest: Manifest, config: Config, path: Path | None) -> Manifest:
    """The manifest with the config's fields in place of its own.

    Raises
    ------
    BundleError
        naming a feature or context column the model does not have, a field unknown, or of a wrong type.
    """
    if not config or path is None:
        return manifest
    plain: dict[str, Any] = msgspec.to_builtins(manifest)
    for name, value in config.items():
        if name == "model":
            plain["model"] |= value
        elif name not in _BY_NAME:
            plain[name] = value
    for part, kind in (("features", Feature), ("context", ContextColumn)):
        allowed = set(_fields(kind)) - (_FROM_THE_MODEL if part == "features" else {"name"})
        columns = {column["name"]: column for column in plain.get(part, [])}
        for name, fields in config.get(part, {}).items():
            if name not in columns:
                raise BundleError(
                    f"{path}: [{part}.{name}]: no such column; there are {', '.join(columns) or 'none'}"
                )
            _refuse_unknown(path, f"{part}.{name}.", fields, allowed)
            columns[name].update(fields)
    try:
        return msgspec.convert(plain, Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{path}: {error}") from error


def _fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return kind.__struct_fields__


def _refuse_unknown(path: Path, where: str, given: Mapping[str, Any], known: set[str]) -> None:
    if not isinstance(given, dict):
        raise BundleError(f"{path}: {where.rstrip('.')} is {given!r}, expected a table")
    unknown = sorted(set(given) - known)
    if unknown:
        named = ", ".join(f"{where}{name}" for name in unknown)
        raise BundleError(f"{path}: {named} cannot be set here; expected some of {', '.join(sorted(known))}")
