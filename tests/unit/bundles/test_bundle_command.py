"""``atalaia bundle`` as a command: what it prints where, and its exit codes."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from atalaia.bundles.folder import Bundle
from atalaia.cli.bundle import bundle
from tests.unit.bundles import tiny_models

app = typer.Typer()
app.command()(bundle)


def _arguments(folder: Path, *more: str) -> list[str]:
    source = tiny_models.tree().write(folder)
    named = {"--onnx": source.onnx, "--reference": source.reference, "--target": "target", "--name": "tiny",
             "--version": "7", "--out": folder / "bundle"}  # fmt: skip
    return [*(str(part) for pair in named.items() for part in pair), *more]


def test_prints_the_path_and_nothing_else_on_stdout(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, _arguments(tmp_path))
    assert done.exit_code == 0
    assert done.stdout == f"{tmp_path / 'bundle'}\n"
    assert "tiny 7" in done.stderr


def test_json_is_the_last_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, _arguments(tmp_path, "--json", "--reference-is-training"))
    told = json.loads(done.stdout.splitlines()[-1])
    made = Bundle.read(told["path"])
    assert told["digest"] == made.digest
    assert (told["name"], told["version"], told["reference_rows"]) == ("tiny", "7", tiny_models.ROWS)
    assert made.manifest.reference_is_training


def test_what_does_not_fit_is_said_and_exits_with_one(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, _arguments(tmp_path, "--context", "sex, age"))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "has no column 'sex' (context); it has x0, x1, x2, x3, target" in done.stderr


@pytest.mark.parametrize("missing", ["--name", "--target"])
def test_usage_exits_with_two(tmp_path: Path, missing: str) -> None:
    arguments = _arguments(tmp_path)
    place = arguments.index(missing)
    assert CliRunner().invoke(app, arguments[:place] + arguments[place + 2 :]).exit_code == 2
