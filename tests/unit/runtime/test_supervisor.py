"""Supervision of real, small processes: each writes a file when it is up."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from atalaia.errors import AtalaiaError, StartFailed
from atalaia.runtime.processes import ProcessSpec
from atalaia.runtime.supervisor import Supervisor

UP = "import os, pathlib, signal, sys, time; up = pathlib.Path(sys.argv[1]); "
SERVE = UP + "up.write_text(str(os.getpid())); signal.pause()"

Spec = Callable[..., ProcessSpec]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, lines: list[str]) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs", report=lines.append) as supervisor:
        yield supervisor


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    def make(name: str = "one", program: str = SERVE, **options: Any) -> ProcessSpec:
        up = tmp_path / name
        fields: dict[str, Any] = {
            "command": [sys.executable, "-S", "-c", program, str(up)],
            "environment": dict(os.environ),
            "probe": lambda: up.exists() and psutil.pid_exists(int(up.read_text() or 0)),
            "prepare": lambda: up.unlink(missing_ok=True),
            "ready_seconds": 20.0,
        }
        return ProcessSpec(name=name, **(fields | options))

    return make


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_killed_process_is_started_again_counted_and_told_of(
    supervisor: Supervisor, spec: Spec, lines: list[str]
) -> None:
    supervisor.start(spec("one"), spec("other"))
    other = supervisor.pid("other")
    former = supervisor.kill("one")
    assert not supervisor.is_ready("one")
    supervisor.wait_ready("one")
    assert supervisor.pid("one") not in {None, former}
    assert (supervisor.restarts("one"), supervisor.restarts("other")) == (1, 0)
    assert supervisor.pid("other") == other
    assert "one died of SIGKILL; starting it again (restart 1)" in lines
    assert "restart 1" in (supervisor.log_folder / "supervisor.log").read_text()


def test_a_process_that_ends_by_itself_is_started_again(
    supervisor: Supervisor, spec: Spec, tmp_path: Path
) -> None:
    once = UP + "first = not (up.parent / 'ran').exists(); (up.parent / 'ran').touch(); "
    supervisor.start(
        spec("one", once + "first and sys.exit(0); up.write_text(str(os.getpid())); signal.pause()")
    )
    assert (tmp_path / "ran").exists()
    assert supervisor.restarts("one") == 1


def test_what_a_crash_left_is_repaired_before_every_start(supervisor: Supervisor, spec: Spec) -> None:
    repairs: list[int] = []
    supervisor.start(spec("one", prepare=lambda: repairs.append(1)))
    supervisor.kill("one")
    supervisor.wait_ready("one")
    assert len(repairs) == 2


def test_they_are_stopped_in_the_reverse_order(tmp_path: Path, spec: Spec) -> None:
    note = UP + (
        "note = lambda *_: (open(up.parent / 'order', 'a').write(up.name + ' '), os._exit(0)); "
        "signal.signal(signal.SIGTERM, note); up.write_text(str(os.getpid()))\nwhile True: signal.pause()"
    )
    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start(
            spec("scorer", note, stage=1), spec("gateway", note, stage=2), spec("kafka", note, stage=0)
        )
        pids = [supervisor.pid(name) or 0 for name in supervisor.names]
    assert (tmp_path / "order").read_text().split() == ["gateway", "scorer", "kafka"]
    assert all(is_gone(pid) for pid in pids)


def test_one_that_ignores_sigterm_is_killed_after_its_grace(
    tmp_path: Path, spec: Spec, lines: list[str]
) -> None:
    deaf = UP + "signal.signal(signal.SIGTERM, signal.SIG_IGN); up.write_text(str(os.getpid()))\n"
    with Supervisor(tmp_path / "logs", report=lines.append) as supervisor:
        supervisor.start(spec("deaf", deaf + "while True: signal.pause()", stop_seconds=0.2))
        pid = supervisor.pid("deaf") or 0
    assert is_gone(pid)
    assert any("deaf did not end within" in line for line in lines)


def test_children_of_a_killed_process_end_with_it(supervisor: Supervisor, spec: Spec, tmp_path: Path) -> None:
    fork = UP + "child = os.fork(); child and up.write_text(str(child)); signal.pause()"
    up = tmp_path / "parent"
    supervisor.start(spec("parent", fork, probe=lambda: up.exists() and up.read_text() != ""))
    child = psutil.Process(int(up.read_text()))
    supervisor.kill("parent")
    gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone == [child]


def test_one_that_never_comes_up_is_an_error_with_the_end_of_its_log(
    supervisor: Supervisor, spec: Spec
) -> None:
    with pytest.raises(
        StartFailed, match=r"(?s)one does not start: ended with exit code 3.*no such bundle.*one\.log"
    ):
        supervisor.start(spec("one", "import sys; print('no such bundle'); sys.exit(3)"))


def test_a_program_that_does_not_exist_is_an_error_that_names_it(supervisor: Supervisor, spec: Spec) -> None:
    with pytest.raises(StartFailed, match="cannot run /no/such/program"):
        supervisor.start(spec("one", command=["/no/such/program"]))


def test_a_failing_preparation_is_an_error_that_says_why(supervisor: Supervisor, spec: Spec) -> None:
    def prepare() -> None:
        raise AtalaiaError("the file is beyond mending")

    with pytest.raises(StartFailed, match="cannot be started: the file is beyond mending"):
        supervisor.start(spec("one", prepare=prepare))


def test_one_that_is_up_but_never_ready_is_an_error(supervisor: Supervisor, spec: Spec) -> None:
    with pytest.raises(StartFailed, match=r"one is not ready after 0\.2 s"):
        supervisor.start(spec("one", probe=lambda: False, ready_seconds=0.2))


def test_a_stopped_process_stays_stopped_and_its_name_is_free(supervisor: Supervisor, spec: Spec) -> None:
    supervisor.start(spec("one"))
    with pytest.raises(ValueError, match="'one' is running already"):
        supervisor.add(spec("one"))
    pid = supervisor.pid("one") or 0
    supervisor.stop("one")
    assert is_gone(pid)
    with pytest.raises(ValueError, match="no process 'one' is supervised"):
        supervisor.pid("one")
    supervisor.start(spec("one"))
    assert supervisor.restarts("one") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise to kill orphans is Linux's")
def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    program = f"""
import os, pathlib, signal, sys
from atalaia.runtime.processes import ProcessSpec
from atalaia.runtime.supervisor import Supervisor
supervisor = Supervisor(pathlib.Path({str(tmp_path)!r}))
sleep = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
supervisor.start(ProcessSpec(name="one", command=sleep, environment={{}}, probe=lambda: True))
print(supervisor.pid("one"), flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone == [child]


def test_closing_from_another_thread_ends_the_wait(supervisor: Supervisor, spec: Spec) -> None:
    supervisor.start(spec("one"))
    pid = supervisor.pid("one") or 0
    closing = threading.Thread(target=supervisor.close)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    assert is_gone(pid)
