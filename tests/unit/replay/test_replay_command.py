"""What is wrong with a command or a file is said before Kafka is asked; a usage error ends with 2."""

import sys
from pathlib import Path

import pytest
from rich.console import Console

from atalaia.cli import main
from atalaia.replay.telling import tell_outcome

from .told import outcome


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATALAIA_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("ATALAIA_REDIS__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("COLUMNS", "200")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["atalaia", "replay", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    code = end.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--interval", "1x"], "not a duration"),
        (["--interval", "0s"], "above 0"),
        (["--speed", "0"], "above 0"),
        (["--speed", "nan"], "above 0"),
        (["--speed", "inf"], "above 0"),
        (["--start", "yesterday"], "not a time"),
        (["--label-delay", "-1s"], "not a duration"),
        (["--report", "nowhere/page.html"], "is no folder"),
        (["--rows-per-request", "0"], "--rows-per-request"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: Path,
    options: list[str],
    said: str,
) -> None:
    assert run(monkeypatch, str(rows), "--model", "m", *options) == 2
    assert said in capsys.readouterr().err


def test_a_row_of_another_length_is_named_by_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rows: Path
) -> None:
    rows.write_text("a,b\n1,2\n3\n")
    assert run(monkeypatch, str(rows), "--model", "m") == 2
    assert "line 3" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ATALAIA_KAFKA__BOOTSTRAP_SERVERS", "ATALAIA_REDIS__URL"])
def test_a_setting_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rows: Path, name: str
) -> None:
    monkeypatch.delenv(name)
    assert run(monkeypatch, str(rows), "--model", "m") == 1
    assert name in capsys.readouterr().err


def test_an_outcome_is_told_with_all_that_matters(capsys: pytest.CaptureFixture[str]) -> None:
    told = outcome(monitors={"drift": "caught up", "fairness": "behind"})
    tell_outcome(told, Console(file=sys.stdout, width=200, force_terminal=False))
    text = capsys.readouterr().out
    for words in (
        "21,600",
        "sodium 0.21",
        "drifted",
        "flag_rate_ratio",
        "fairness monitor is behind",
        "firing",
        "17",
    ):
        assert words in text
    tell_outcome(
        outcome(drift=[], performance=[], fairness=[], alerts=[]), Console(file=sys.stdout, width=200)
    )
    assert "No alerts." in capsys.readouterr().out
