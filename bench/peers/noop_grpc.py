"""A service that does nothing on grpcio's own server: what a call costs there before anything is done."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from atalaia.runtime.ports import free_port
from bench import rig

NAME = "grpcio_noop"
_START_SECONDS = 30.0


@contextmanager
def serve(folder: Path) -> Iterator[tuple[str, int]]:
    """Its address and process id, once it answers; its log goes to ``folder``."""
    target = f"127.0.0.1:{free_port()}"
    command = ["bench.peers.noop_grpc_server", target.rpartition(":")[2]]
    with rig.process(command, dict(os.environ), folder / "noop_grpc.log") as started:
        with grpc.insecure_channel(target) as channel:
            grpc.channel_ready_future(channel).result(_START_SECONDS)
        yield target, started.pid
