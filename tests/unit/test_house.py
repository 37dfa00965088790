"""What would drift apart unnoticed: documents, settings, topics, lint, hooks and pinned versions."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from atalaia.settings import Settings
from atalaia.topics import TOPICS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CODE = ("atalaia", "bench", "loadtest", "recipes", "services")
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:work|home|root|Users|opt)/\w")


def files(*patterns: str, folders: tuple[str, ...] = CODE) -> list[Path]:
    return sorted(
        path for folder in folders for pattern in patterns for path in (ROOT / folder).rglob(pattern)
    )


@cache
def makefile() -> dict[str, str]:
    """Targets and what they depend on."""
    rules = re.findall(r"^([a-z-]+):(?!=)([^#|\n]*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return dict(rules)


def normal(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def setting_names(model: type[BaseModel], prefix: str) -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += setting_names(kind, f"{prefix}{name.upper()}__")
        else:
            names.append(prefix + name.upper())
    return names


def test_every_setting_is_in_the_operations_page_and_no_other() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    listed = re.findall(r"^\| `(ATALAIA_\w+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(setting_names(Settings, "ATALAIA_"))


def test_every_topic_is_in_the_architecture_page_with_its_partitions() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    table = page[page.index("## Topics") : page.index("## Services")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if "| `" in line]
    listed = {row[0].strip("`"): int(row[3]) for row in rows}
    assert listed == {topic.name: topic.partitions for topic in TOPICS}


def test_metrics_named_in_documents_exist() -> None:
    declared = "\n".join(path.read_text() for path in files("metrics.py"))
    named = {name for path in DOCUMENTS for name in re.findall(r"`(atalaia_[a-z_]+)`", path.read_text())}
    assert named
    assert [name for name in sorted(named) if f'"{name}"' not in declared] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    pages = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    listed = re.findall(r"\((0\d{3}[\w-]+\.md)\)", (ROOT / "docs/decisions/README.md").read_text())
    assert listed == pages


def test_make_targets_named_in_documents_exist() -> None:
    named = {
        target
        for path in DOCUMENTS
        for target in re.findall(r"(?:`|^|\.\s+)make ([a-z-]+)", path.read_text(), re.MULTILINE)
    }
    assert {"demo", "test"} <= named
    assert named - makefile().keys() == set()


def test_commits_are_checked_by_exactly_the_parts_of_lint() -> None:
    hooks = re.findall(r"entry: make ([a-z-]+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert hooks == makefile()["lint"].split()


def test_versions_are_pinned_without_addresses_and_nothing_needed_is_left_out() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9][A-Za-z0-9.]*", pin)] == []
    project: dict[str, Any] = PROJECT["project"]
    needed = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {normal(requirement) for requirement in needed} - {normal(project["name"])}
    assert names - {pin.split("==")[0] for pin in pins} == set()


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in files("*.py", folders=("tests",))}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_modules_are_short_enough_to_read() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files("*.py")}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_nothing_names_a_folder_of_one_machine() -> None:
    others = [
        ROOT / name for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/run", "scripts/setup")
    ]
    texts = [*DOCUMENTS, *others, *files("*.py", "*.xml", "*.txt")]
    found = {str(path.relative_to(ROOT)): _MACHINE_PATH.findall(path.read_text()) for path in texts}
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_every_module_of_the_library_has_its_layer() -> None:
    layers = next(c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")["layers"]
    placed = {name.strip(" ()") for layer in layers for name in re.split(r"[|:]", layer)}
    children = {f"atalaia.{path.stem}" for path in (ROOT / "atalaia").iterdir() if _is_module(path)}
    assert children - placed == set()


def _is_module(path: Path) -> bool:
    return (path / "__init__.py").is_file() or (path.suffix == ".py" and path.stem != "__init__")
