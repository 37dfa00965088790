"""``atalaia train`` as a command: what it prints where, and its exit codes."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from atalaia.bundles.folder import Bundle
from atalaia.cli.train import train

app = typer.Typer()
app.command()(train)


def test_json_is_the_last_line_and_progress_is_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATALAIA_DATA_DIR", raising=False)
    done = CliRunner().invoke(app, ["bmp", "--out", str(tmp_path / "bmp"), "--json"])
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["digest"] == Bundle.read(tmp_path / "bmp").digest
    assert "training" in done.stderr


def test_an_unknown_recipe_is_usage(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["beer", "--out", str(tmp_path / "beer")])
    assert done.exit_code == 2
    assert "adult, bmp, electricity, electricity-previous, wine, wine-regressor" in " ".join(
        done.stderr.replace("│", " ").split()
    )


@pytest.mark.parametrize("recipe", ["adult", "electricity", "electricity-previous", "wine", "wine-regressor"])
def test_missing_data_is_said(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATALAIA_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [recipe, "--out", str(tmp_path / "bundle")])
    assert done.exit_code == 1
    assert "--data-dir or set ATALAIA_DATA_DIR" in done.stderr
    assert not (tmp_path / "bundle").exists()
