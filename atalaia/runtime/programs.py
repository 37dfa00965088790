"""Programs started so that they end with whoever started them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")


def bound(command: Sequence[str]) -> list[str]:
    """The command, made to die with this process (on Linux, with the thread that starts it)."""
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *command]


def run_program(command: Sequence[str], *, timeout_seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, its output and errors in one text.

    Raises
    ------
    subprocess.TimeoutExpired
        when it takes too long; it is killed.
    """
    return subprocess.run(
        bound(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout_seconds,
    )
