"""Where the commands of pages are run: a folder, its environment, and the machine they start."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from atalaia.runtime.ports import free_port
from tests.broker.docs.pages import Block, exported, missing

_PARTS = ("KAFKA__PORT", "KAFKA__CONTROLLER_PORT", "REDIS__PORT", "GATEWAY__PORT", "SCORER__METRICS_PORT")
_MONITORS = ("DRIFT__METRICS_PORT", "FAIRNESS__METRICS_PORT", "ALERTS__METRICS_PORT")
_STOP_SECONDS = 40


class Workplace:
    """Plays blocks one after the other; close it to stop the machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        others = {name: value for name, value in os.environ.items() if not name.startswith("ATALAIA_")}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{others.get('PATH', '')}"
        self.environment = others | {"PATH": programs, "COLUMNS": "200"}
        self.settings: dict[str, str] = {}
        self.metrics: dict[str, str] = {}
        self._shown = ""
        self._running = ExitStack()

    def play(self, blocks: Iterable[Block]) -> None:
        """Do what they say."""
        for block in blocks:
            if block.file is not None:
                (self.folder / block.file).write_text(block.text, "utf-8")
            elif block.role == "run":
                self._shown = self._run(block)
            elif block.role == "shows":
                lacking = missing(block.text.splitlines(), self._shown)
                assert not lacking, f"{block.place}: {lacking} is not in\n{self._shown}"
            elif block.role == "settings":
                assert exported(block) <= self.settings.keys(), block.place
            elif block.role == "up":
                self._start(block)

    def close(self) -> None:
        """Stop the machine."""
        self._running.close()

    def _run(self, block: Block) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=self.folder,
            env=self.environment | self.settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{block.place}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _start(self, block: Block) -> None:
        """The machine of a page, on free ports, in a folder of its own."""
        ports = {f"ATALAIA_{name}": "0" for name in (*_PARTS, *_MONITORS)}
        grpc_port = str(free_port())
        ports["ATALAIA_GATEWAY__GRPC_PORT"] = grpc_port
        command = f"exec {block.text.strip()} --state-dir state --json"
        errors = self._running.enter_context((self.folder / "up.log").open("w"))
        machine = self._running.enter_context(
            subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self.environment | ports,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        )
        self._running.callback(_stop, machine)
        assert machine.stdout is not None
        line = machine.stdout.readline()
        assert line, (self.folder / "up.log").read_text()
        told = json.loads(line)
        self.metrics = told["metrics"]
        self.settings = {
            "GATEWAY": told["gateway"],
            "GRPC": f"127.0.0.1:{grpc_port}",
            "ATALAIA_KAFKA__BOOTSTRAP_SERVERS": told["kafka"],
            "ATALAIA_REDIS__URL": told["redis"],
        }


def _stop(machine: "subprocess.Popen[str]") -> None:
    machine.terminate()
    try:
        machine.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        machine.kill()
