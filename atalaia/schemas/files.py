"""The generated files of a schemas folder: what they should hold, and which of them do not."""

import json
from pathlib import Path

from atalaia.schemas.asyncapi import Document, asyncapi_document
from atalaia.schemas.examples import examples, render
from atalaia.schemas.records import RECORDS, record_schema

RECORDS_FOLDER = "records"
EXAMPLES_FOLDER = "examples"


def generate() -> dict[str, str]:
    """Path below the schemas folder and content of every generated file."""
    files = {"asyncapi.json": _pretty(asyncapi_document())}
    for record in RECORDS:
        files[f"{RECORDS_FOLDER}/{record.__name__}.json"] = _pretty(record_schema(record))
    for topic, variant, value in examples():
        name = "-".join(filter(None, [topic, variant]))
        files[f"{EXAMPLES_FOLDER}/{name}.json"] = render(value)
    return files


def write(folder: Path) -> list[str]:
    """Bring ``folder`` up to date; returns what was written or removed."""
    changed = stale(folder)
    files = generate()
    for name in changed:
        path = folder / name
        if name in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name], encoding="utf-8")
        else:
            path.unlink()
    return changed


def stale(folder: Path) -> list[str]:
    """Generated files of ``folder`` that are missing, differ, or belong to nothing any more."""
    files = generate()
    differing = [name for name, content in files.items() if _read(folder / name) != content]
    kept = [
        path.relative_to(folder).as_posix()
        for part in (RECORDS_FOLDER, EXAMPLES_FOLDER)
        for path in (folder / part).glob("*.json")
    ]
    return sorted([*differing, *(name for name in kept if name not in files)])


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _pretty(document: Document) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
