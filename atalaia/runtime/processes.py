"""One process, kept running: started, asked whether it is ready, started again when it dies, stopped."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from atalaia.errors import AtalaiaError
from atalaia.runtime.logs import LogFile
from atalaia.runtime.programs import bound

Report = Callable[[str], None]
"""Takes one line for whoever watches."""

_POLL_SECONDS = 0.05
_PROBE_EVERY_SECONDS = 0.1
_LOGS_EVERY_SECONDS = 5.0
_FIRST_BACKOFF_SECONDS = 0.1
_LAST_BACKOFF_SECONDS = 2.0
_STEADY_SECONDS = 20.0
_TRIES_TO_START = 3


def _nothing() -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How one process is run.

    Parameters
    ----------
    name : as it is called in logs and by whoever stops or kills it
    command : program and arguments
    probe : whether it is ready, answered within about a second
    environment : all its variables
    prepare : run before each start (repairs what a crash left)
    stage : processes of a higher stage are started later and stopped earlier
    ready_seconds : how long it may take to become ready at first
    stop_seconds : from SIGTERM to SIGKILL
    """

    name: str
    command: Sequence[str]
    probe: Callable[[], bool]
    environment: Mapping[str, str]
    prepare: Callable[[], None] = _nothing
    stage: int = 1
    ready_seconds: float = 60.0
    stop_seconds: float = 6.0


class SupervisedProcess:
    """A process that is started again for ever, within 5 s, until it is stopped for good.

    It runs in a session of its own, so that Ctrl-C reaches the supervisor alone and its own children end
    with it. One thread owns it: on Linux a process asked to die with its parent dies with the thread that
    started it.

    Parameters
    ----------
    spec : how it is run
    log : takes what it writes
    report : told of every start, end and restart
    """

    def __init__(self, spec: ProcessSpec, *, log: LogFile, report: Report) -> None:
        self.spec = spec
        self.log = log
        self.restarts = 0
        self.ready = threading.Event()
        self._report = report
        self._stopping = threading.Event()
        self._grace_seconds = spec.stop_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self._lives_never_ready = 0
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"supervise-{spec.name}", daemon=True)

    def start(self) -> None:
        """Start it, and return at once."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Its process id; None while it is not running."""
        process = self._process
        return None if process is None else process.pid

    @property
    def failure(self) -> str | None:
        """Why it is not worth waiting for, when it has ended several times without ever being ready."""
        return self._failure

    def kill(self) -> int | None:
        """SIGKILL it, as a crash would, and wait until it is dead; it is started again. Its former id.

        Whoever waits for `ready` afterwards waits for the next life.
        """
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            while self.pid == pid and self._thread.is_alive():
                time.sleep(_POLL_SECONDS / 5)
        return pid

    def request_stop(self, grace_seconds: float | None = None) -> None:
        """SIGTERM now, SIGKILL after the grace, no restart; returns at once."""
        if grace_seconds is not None:
            self._grace_seconds = min(self.spec.stop_seconds, max(0.0, grace_seconds))
        self._stopping.set()

    def join(self) -> None:
        """Wait until it has ended; only after `request_stop`."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            reason = self._attempt()
            if self._stopping.is_set():
                return
            was_steady = time.monotonic() - started > _STEADY_SECONDS
            self._failures = 1 if was_steady else self._failures + 1
            self.restarts += 1
            self._report(f"{self.spec.name} {reason}; starting it again (restart {self.restarts})")
            self._stopping.wait(backoff_seconds(self._failures))

    def _attempt(self) -> str:
        """One life; how it ended."""
        self._lives_never_ready += 1
        began_at_byte = self.log.size()
        try:
            self.spec.prepare()
            reason = self._live()
        except (OSError, subprocess.SubprocessError, AtalaiaError) as error:
            reason = f"cannot be started: {error}"
        if self._lives_never_ready >= _TRIES_TO_START:
            self._failure = f"{reason}\n{self.log.tail(since=began_at_byte)}".rstrip()
        return reason

    def _live(self) -> str:
        started = time.monotonic()
        with self._spawn() as process:
            self._process = process
            try:
                self._attend(process, started)
            finally:
                self._end(process)
                self.ready.clear()
                self._process = None
        return _how_it_ended(process.returncode)

    def _spawn(self) -> subprocess.Popen[bytes]:
        descriptor = self.log.open()
        try:
            return subprocess.Popen(
                bound(self.spec.command),
                env=dict(self.spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    def _attend(self, process: subprocess.Popen[bytes], started: float) -> None:
        """Until it ends or is to be stopped."""
        next_probe, next_turn_over = started, started + _LOGS_EVERY_SECONDS
        while process.poll() is None and not self._stopping.wait(_POLL_SECONDS):
            now = time.monotonic()
            if not self.ready.is_set() and now >= next_probe:
                next_probe = now + _PROBE_EVERY_SECONDS
                if self.spec.probe() and process.poll() is None:
                    self._lives_never_ready = 0
                    self._failure = None
                    self.ready.set()
                    self._report(f"{self.spec.name} is ready after {time.monotonic() - started:.1f} s")
            if now >= next_turn_over:
                next_turn_over = now + _LOGS_EVERY_SECONDS
                self.log.turn_over()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(self._grace_seconds)
            except subprocess.TimeoutExpired:
                self._report(
                    f"{self.spec.name} did not end within {self._grace_seconds:.0f} s of SIGTERM: killed"
                )
        # The group outlives its leader while any of its own children does, and they would hold its port.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def backoff_seconds(failures: int) -> float:
    """The pause before the start that follows so many failures in a row: doubling from 0.1 s, at most 2 s.

    >>> [backoff_seconds(failures) for failures in (1, 2, 3, 10)]
    [0.1, 0.2, 0.4, 2.0]
    """
    return min(_LAST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 10))


def _how_it_ended(returncode: int) -> str:
    if returncode < 0:
        return f"died of {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"
