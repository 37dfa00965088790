"""whylogs and Evidently, from the environment that ``make bench-peers`` makes, on rows in memory."""

import subprocess
from pathlib import Path
from typing import Any

import orjson

from bench.peers.mlserver import ENVIRONMENT

NAMES = ("whylogs", "evidently")

Figures = dict[str, float | None]
"""Rows a CPU second by name, None where it cannot be imported."""

_SCRIPT = Path(__file__).with_name("profiles_run.py")
_PYTHON = ENVIRONMENT / "bin" / "python"
_SECONDS = 240


def available() -> bool:
    """Whether their environment is there."""
    return _PYTHON.is_file()


def run() -> Figures:
    """Both measured, in a process of their own."""
    done = subprocess.run([str(_PYTHON), str(_SCRIPT)], check=True, capture_output=True, timeout=_SECONDS)
    answer: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
    return {name: answer.get(name) for name in NAMES}
