import subprocess
import sys

import pytest
from typer.testing import CliRunner

from atalaia import __version__, cli
from atalaia.errors import PortTaken


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    program = """
import sys
from typer.testing import CliRunner
from atalaia import cli
answer = CliRunner().invoke(cli.app, ["--help"])
assert answer.exit_code == 0 and all(name in answer.output for name in cli.COMMANDS), answer.output
print(*sorted(name for name in sys.modules if "." not in name))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"confluent_kafka", "fastapi", "numpy", "onnxruntime", "pydantic", "redis", "sklearn", "uvicorn"}
    assert heavy.isdisjoint(answer.stdout.split())


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_has_help_of_its_own(name: str) -> None:
    answer = CliRunner().invoke(cli.app, [name, "--help"])
    assert answer.exit_code == 0
    assert f"atalaia {name}" in answer.output


def test_a_failure_is_one_paragraph_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise PortTaken("port 9092 is in use")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: port 9092 is in use\n"


@pytest.mark.parametrize(
    "arguments", [["up", "--no-such-option"], ["no-such-command"], ["up", "--model", "/none"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli.app, arguments).exit_code == 2


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(cli.app, ["--version"]).stdout == f"{__version__}\n"
