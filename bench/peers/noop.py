"""A route that does nothing, on the gateway's own stack: FastAPI, uvicorn, uvloop, httptools.

What it takes is what no gateway on this stack can go below.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atalaia.runtime.ports import free_port
from bench import rig

NAME = "noop"


def available() -> bool:
    """Always: it stands on what the gateway stands on."""
    return True


@contextmanager
def serve(_bundle: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Its address and process id, once it answers; its log goes to ``folder``."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = folder / "noop.log"
    with rig.process(["bench.peers.noop_server", str(port)], dict(os.environ), log) as started:
        rig.wait_for_answer(f"{url}/readyz", started, log)
        yield url, started.pid
