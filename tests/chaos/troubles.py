"""What is done to a running machine: kills, a sleep, workers that come and go, and a Redis that forgets."""

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import redis

from atalaia.errors import StreamUnavailable
from atalaia.runtime import redis as redis_runtime
from atalaia.runtime.machine import Machine
from atalaia.runtime.services import MONITORS
from atalaia.stream.deploy import deploy, promote, rollback
from atalaia.worker.app import SESSION_SECONDS

from .watched import NAME

ASLEEP_SECONDS = SESSION_SECONDS + 2.0
_TRIES, _PAUSE_SECONDS = 20, 1.0


@dataclass
class Troubles:
    """Each does one thing to a machine and returns; what they are called is in the table.

    Parameters
    ----------
    canary : the bundle of the version that is deployed beside the first, promoted and taken back
    """

    machine: Machine
    random: random.Random
    canary: Path
    told: list[str] = field(default_factory=list)
    _turn: int = 0

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        """All of them, by name."""
        kills = {
            f"kill {kind}": lambda kind=kind: self._kill(kind)
            for kind in ("gateway", "scorer", "kafka", "redis", *MONITORS)
        }
        return kills | {
            "pause a worker": self._pause,
            "wipe Redis": self._wipe,
            "cut Redis back": self._cut,
            "old Redis": self._put_back,
            "come and go": self._come_and_go,
            "deploy": self._deploy,
        }

    def keep_redis(self) -> None:
        """Copy Redis's files as they are now, to be put back later."""
        shutil.copytree(self._redis_folder, self._copied)

    @property
    def _copied(self) -> Path:
        return self.machine.state_dir / "redis-copied"

    def _kill(self, kind: str) -> None:
        names = [name for name in self.machine.supervisor.names if name.split("-")[0] == kind]
        self.machine.kill(self.random.choice(names))

    def _pause(self) -> None:
        """Asleep past its session, so that its partitions are another's when it wakes."""
        pid = None
        while pid is None:
            pid = self.machine.pid(self.random.choice(self._workers(*MONITORS)))
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(ASLEEP_SECONDS)
            os.kill(pid, signal.SIGCONT)

    def _wipe(self) -> None:
        client = redis.Redis.from_url(self.machine.settings.redis.url or "")
        with contextlib.closing(client):
            client.flushall()

    def _cut(self) -> None:
        """The append-only file loses its end, within a command as likely as not."""
        self.machine.stop("redis", grace_seconds=0)
        files = [path for path in self._append_only if path.stat().st_size]
        if files:
            last = max(files, key=lambda path: path.stat().st_mtime)
            size = last.stat().st_size
            lost = min(size, self.random.randrange(1, 400_000))
            os.truncate(last, size - lost)
            self.told.append(f"Redis's append-only file cut from {size} to {size - lost} bytes")
        self._start_redis()

    def _put_back(self) -> None:
        """What Redis held when it was copied is what it holds now; what it held so far comes next time."""
        self.machine.stop("redis", grace_seconds=0)
        until_now = self._redis_folder.rename(self.machine.state_dir / "redis-until-now")
        self._copied.rename(self._redis_folder)
        until_now.rename(self._copied)
        self._start_redis()

    def _come_and_go(self) -> None:
        """One more worker where a service has one, one fewer where it has two."""
        service = self.random.choice(MONITORS)
        workers = self._workers(service)
        if len(workers) > 1:
            self.machine.stop(workers[-1])
        else:
            self.machine.add_worker(service, len(workers))

    def _deploy(self) -> None:
        """Canary, primary, and back, each while a scorer is being started again."""
        steps: list[Callable[[], object]] = [
            lambda: deploy(self.canary, settings=self.machine.settings, role="canary", weight=30.0),
            lambda: promote(NAME, "2", kafka=self.machine.settings.kafka),
            lambda: rollback(NAME, kafka=self.machine.settings.kafka),
        ]
        self._kill("scorer")
        step = steps[self._turn % len(steps)]
        self._turn += 1
        for _ in range(_TRIES):
            try:
                step()
            except StreamUnavailable:
                time.sleep(_PAUSE_SECONDS)
            else:
                return
        raise AssertionError(f"no deployment within {_TRIES} tries")

    def _workers(self, *services: str) -> list[str]:
        return [name for name in self.machine.supervisor.names if name.split("-")[0] in services]

    def _start_redis(self) -> None:
        port = self.machine.settings.redis.port
        programs = redis_runtime.find_programs()
        self.machine.add(redis_runtime.server(programs, folder=self._redis_folder, port=port))

    @property
    def _redis_folder(self) -> Path:
        return self.machine.state_dir / "redis"

    @property
    def _append_only(self) -> list[Path]:
        """The files that commands are appended to, of Redis 7 and of Redis 6."""
        return [
            *self._redis_folder.glob("appendonlydir/*.incr.aof"),
            *self._redis_folder.glob("appendonly.aof"),
        ]
