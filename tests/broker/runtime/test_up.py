"""``atalaia up`` as a process, with services that only answer ``/readyz`` in the place of the real ones."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from atalaia.runtime.ports import free_port
from atalaia.runtime.probes import answers_http

pytestmark = pytest.mark.broker

OTHERS = ("scorer", "drift", "fairness", "alerts")
MAIN = "import sys; from atalaia.cli import main; sys.exit(main())"
STAND_IN = """
import http.server
from atalaia.settings import load

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.ThreadingHTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ports = {"gateway": "load().gateway.port"} | {name: f"load().{name}.metrics_port" for name in OTHERS}
    for name, port in ports.items():
        service = tmp_path / "services" / name
        service.mkdir(parents=True)
        (service / "__main__.py").write_text(STAND_IN.format(port=port))
        (service / "__init__.py").touch()
    (tmp_path / "services" / "__init__.py").touch()
    return tmp_path


@pytest.fixture
def environment() -> dict[str, str]:
    root = Path(__file__).parents[3]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ATALAIA_")}
    ports = ["KAFKA__PORT", "KAFKA__CONTROLLER_PORT", "REDIS__PORT", "GATEWAY__PORT"]
    ports += [f"{name.upper()}__METRICS_PORT" for name in OTHERS]
    return ours | {"PYTHONPATH": str(root)} | {f"ATALAIA_{name}": "0" for name in ports}


@pytest.fixture
def up(folder: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", MAIN, "up", "--state-dir", str(folder / "state"), "--json"]
    with (
        (folder / "stderr").open("w") as stderr,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        yield process
        process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that did not end; an ended one that init has not taken note of yet has ended."""
    _, left = psutil.wait_procs(processes, timeout=1)
    return [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_up_tells_its_addresses_in_one_line_restarts_what_dies_and_leaves_nothing(
    up: "subprocess.Popen[str]", folder: Path
) -> None:
    began = time.monotonic()
    told = json.loads(first_line(up))
    assert time.monotonic() - began < 15, (folder / "stderr").read_text()
    assert set(told) == {"gateway", "kafka", "redis", "metrics"}
    assert set(told["metrics"]) == {"gateway", *OTHERS}
    assert all(answers_http(url) for url in told["metrics"].values())

    descendants = psutil.Process(up.pid).children(recursive=True)
    commands = {" ".join(process.cmdline()): process for process in descendants}
    ours = [f"-m services.{name}" for name in ("gateway", *OTHERS)]
    for wanted in ("kafka.Kafka", "redis-server", *ours):
        assert any(wanted in command for command in commands), wanted
    victim = next(process for command, process in commands.items() if "services.scorer" in command)
    victim.kill()
    psutil.wait_procs([victim], timeout=5)
    deadline = time.monotonic() + 5
    while not answers_http(told["metrics"]["scorer"]):
        assert time.monotonic() < deadline, "the killed scorer was not back within 5 s"

    descendants = psutil.Process(up.pid).children(recursive=True)
    up.send_signal(signal.SIGTERM)
    rest, _ = up.communicate(timeout=30)
    assert (up.returncode, rest) == (0, "")
    assert still_running(descendants) == []
    assert "scorer-0 died of SIGKILL; starting it again (restart 1)" in (folder / "stderr").read_text()


def test_ctrl_c_during_the_start_leaves_nothing(up: "subprocess.Popen[str]", folder: Path) -> None:
    me = psutil.Process(up.pid)
    while not (descendants := me.children(recursive=True)):
        assert up.poll() is None, (folder / "stderr").read_text()
    up.send_signal(signal.SIGINT)
    rest, _ = up.communicate(timeout=30)
    assert (up.returncode, rest) == (0, "")
    assert still_running(descendants) == []


def test_a_taken_port_is_said_before_anything_is_started(folder: Path, environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        environment["ATALAIA_GATEWAY__PORT"] = str(taken.getsockname()[1])
        answer = subprocess.run(
            [sys.executable, "-c", MAIN, "up", "--state-dir", str(folder / "state")],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert answer.returncode == 1
    assert "ATALAIA_GATEWAY__PORT" in answer.stderr
    assert not (folder / "state" / "logs" / "kafka.log").exists()
