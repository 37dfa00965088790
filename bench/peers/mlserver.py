"""MLServer, from the environment that ``make bench-peers`` makes, with the benchmark's own ONNX file.

It scores in the process that answers HTTP (no parallel workers, its faster mode for a small model), without
an access log.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from atalaia.bundles.folder import MODEL
from atalaia.runtime.ports import free_port
from bench import bundles, rig

NAME = "mlserver"
_ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = _ROOT / ".venv-peers"
_PROGRAM = ENVIRONMENT / "bin" / "mlserver"


def available() -> bool:
    """Whether its environment is there."""
    return _PROGRAM.is_file()


@contextmanager
def serve(bundle: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Its address and process id, once it answers; its settings and log go to ``folder``."""
    port, settings = free_port(), folder / "mlserver"
    settings.mkdir()
    _write(settings / "settings.json", _server(port))
    _write(settings / "model-settings.json", _model(bundle / MODEL))
    url, log = f"http://127.0.0.1:{port}", folder / "mlserver.log"
    env = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with rig.program([str(_PROGRAM), "start", str(settings)], env, log) as started:
        rig.wait_for_answer(f"{url}/v2/models/{bundles.NAME}/ready", started, log)
        yield url, started.pid


def _server(port: int) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "debug": False,
    }


def _model(model: Path) -> dict[str, object]:
    return {
        "name": bundles.NAME,
        "implementation": "bench.peers.mlserver_runtime.OnnxModel",
        "parameters": {"uri": str(model)},
    }


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_bytes(orjson.dumps(content))
