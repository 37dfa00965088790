"""Several processes, started in order, watched, and stopped in the reverse order within a deadline."""

import contextlib
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from atalaia.errors import StartFailed
from atalaia.runtime.logs import LogFile
from atalaia.runtime.processes import ProcessSpec, Report, SupervisedProcess

STOP_SECONDS = 27.0
"""All of them, from the first SIGTERM to the last SIGKILL; the promise is 30 s."""


def silent(_line: str) -> None:
    """Report to nobody."""


class Supervisor:
    """A context in which processes are kept running; leaving it leaves none.

    Should the supervisor itself be killed, Linux kills them.

    Parameters
    ----------
    log_folder : one file a process, and ``supervisor.log``
    report : takes a line whenever something starts, ends or is started again
    """

    def __init__(self, log_folder: Path, *, report: Report = silent) -> None:
        self.log_folder = log_folder
        self._journal = LogFile(log_folder / "supervisor.log", max_bytes=5_000_000)
        self._listener = report
        self._writing = threading.Lock()
        self._processes: dict[str, SupervisedProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, spec: ProcessSpec) -> None:
        """Start one and return at once.

        Raises
        ------
        ValueError
            when one of that name is running.
        """
        if spec.name in self._processes:
            raise ValueError(
                f"{spec.name!r} is running already; stop it before starting another of that name"
            )
        log = LogFile(self.log_folder / f"{spec.name}.log")
        process = SupervisedProcess(spec, log=log, report=self._report)
        self._processes[spec.name] = process
        process.start()

    def start(self, *specs: ProcessSpec) -> None:
        """Start them side by side and wait until all are ready.

        Raises
        ------
        StartFailed
            with the end of the log of the one that does not come up.
        """
        for spec in specs:
            self.add(spec)
        self.wait_ready(*(spec.name for spec in specs))

    def wait_ready(self, *names: str, timeout_seconds: float | None = None) -> None:
        """Wait until the named (or all) are ready, each as long as its own `ready_seconds` allows.

        Raises
        ------
        StartFailed
            when one keeps ending, or takes too long.
        """
        began = time.monotonic()
        for process in [self._process(name) for name in names or self.names]:
            allowed = process.spec.ready_seconds if timeout_seconds is None else timeout_seconds
            while not process.ready.wait(0.02):
                if process.failure is not None:
                    raise StartFailed(self._why(process, f"does not start: {process.failure}"))
                if time.monotonic() - began > allowed:
                    raise StartFailed(
                        self._why(process, f"is not ready after {allowed:g} s\n{process.log.tail()}")
                    )

    @property
    def names(self) -> list[str]:
        """Those that are to run, in the order of their start."""
        return list(self._processes)

    def pid(self, name: str) -> int | None:
        """Process id; None while it is down."""
        return self._process(name).pid

    def is_ready(self, name: str) -> bool:
        """Whether its present life has been ready."""
        return self._process(name).ready.is_set()

    def restarts(self, name: str) -> int:
        """How often it was started again."""
        return self._process(name).restarts

    def kill(self, name: str) -> int | None:
        """SIGKILL it, as a crash would, and wait until it is dead; it is started again. Its former id."""
        return self._process(name).kill()

    def stop(self, name: str, *, grace_seconds: float | None = None) -> None:
        """Stop it for good: SIGTERM, after the grace SIGKILL (at once for 0)."""
        process = self._process(name)
        process.request_stop(grace_seconds)
        process.join()
        del self._processes[name]

    def close(self) -> None:
        """Stop all, the highest stage first, within `STOP_SECONDS`."""
        deadline = time.monotonic() + STOP_SECONDS
        while self._processes:
            highest = max(process.spec.stage for process in self._processes.values())
            names = [name for name, process in self._processes.items() if process.spec.stage == highest]
            for name in names:
                self._processes[name].request_stop(deadline - time.monotonic())
            for name in names:
                self._processes.pop(name).join()

    def _process(self, name: str) -> SupervisedProcess:
        try:
            return self._processes[name]
        except KeyError:
            known = ", ".join(self._processes) or "none"
            raise ValueError(f"no process {name!r} is supervised; those that are: {known}") from None

    def _report(self, line: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        # A full disk must not end the supervision.
        with self._writing, contextlib.suppress(OSError):
            self._journal.write(f"{now} {line}")
            self._journal.turn_over()
        self._listener(line)

    def _why(self, process: SupervisedProcess, reason: str) -> str:
        return f"{process.spec.name} {reason}\nIts whole log is in {process.log.path}"
