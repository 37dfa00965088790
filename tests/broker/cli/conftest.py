"""A shell that runs ``atalaia`` in this process, on topics of its own."""

import sys
import uuid
from typing import Any

import orjson
import pytest

from atalaia.cli import main


class Shell:
    """Runs ``atalaia`` in this process; `status`, `out` and `err` are of the last run."""

    def __init__(self, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self._patch = patch
        self._captured = captured
        self.status: object = 0
        self.out = self.err = ""

    def run(self, *arguments: str) -> "Shell":
        self._patch.setattr(sys, "argv", ["atalaia", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        self.status = end.value.code or 0
        self.out, self.err = self._captured.readouterr()
        return self

    def json(self, *arguments: str) -> Any:
        assert self.run(*arguments, "--json").status == 0, self.err
        return orjson.loads(self.out.splitlines()[-1])


@pytest.fixture
def shell(kafka: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("ATALAIA_KAFKA__BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("ATALAIA_KAFKA__TOPIC_PREFIX", f"cli-{uuid.uuid4().hex[:8]}.")
    monkeypatch.setenv("COLUMNS", "160")
    return Shell(monkeypatch, capsys)
