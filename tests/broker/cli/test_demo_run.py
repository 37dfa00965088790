"""``atalaia demo`` as a process, whole but with few rows."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.broker

MAIN = "import sys; from atalaia.cli import main; sys.exit(main())"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ATALAIA_")}
    return ours | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "TMPDIR": str(tmp_path)}


def processes_of(folder: Path) -> list[str]:
    """Whatever runs with this folder for temporary files: the demo, and all that it started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(folder):
                found.append(" ".join(process.cmdline()))
    return found


def test_the_demo_holds_what_it_claims_and_leaves_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "demo", "--rows", "600", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert told["held"]
    assert all(check["held"] for check in told["checks"])
    total = told["total"]
    assert total["rows"] >= 600
    assert total["requests"] == total["predictions"] + 1  # garbage without a key has a dead letter only
    assert (total["lost"], total["answered_twice"], total["dead_letters"]) == (0, 0, 4)
    assert total["abstained_rows"] >= 40
    assert told["failover"]["open_at_the_kill"] >= 0
    assert 0 < told["failover"]["all_partitions_seconds"] < 20

    assert "All " in done.stderr
    assert "curl -s http://127.0.0.1:8080/predict" in done.stderr
    noise = [text for text in done.stderr.splitlines() if "rdkafka" in text or "[thrd:" in text]
    assert noise == []
    assert max(map(len, done.stderr.splitlines())) <= 100
    assert list(tmp_path.glob("atalaia-demo-*")) == []
    assert processes_of(tmp_path) == []


def test_an_interrupted_demo_leaves_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAIN, "demo", "--rows", "600"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        me = psutil.Process(process.pid)
        while not (descendants := me.children(recursive=True)):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 130  # as shells say of what Ctrl-C ended
    _, left = psutil.wait_procs(descendants, timeout=2)
    assert [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.glob("atalaia-demo-*")) == []
