"""Requests over gRPC beside the same over HTTP: 64 under way, the same rows, in turns.

Over HTTP that takes 64 connections. Over gRPC they share one, as a client's calls do, or several, or have
one each; what they share decides how many calls the gateway reads and answers at once. Beside them grpcio's
own server answers as many calls that do nothing, 64 on one connection: what it would cost to stand on it.
"""

import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from atalaia.inference.rows import FloatArray
from bench import bundles, rig
from bench.grpc_load import run as run_grpc
from bench.grpc_load import write_messages
from bench.http_load import run as run_http
from bench.load import Load
from bench.peers import noop_grpc
from services.gateway.grpc.inference_pb2 import ModelInferRequest

CALLS = 64
REPEATS = 5
SECONDS = 6.0
WARM_UP_SECONDS = 1.0
BODIES = 2_000

HTTP = "http"
CONNECTIONS = {"grpc_1_connection": 1, "grpc_8_connections": 8, "grpc_64_connections": 64}
SHARED = "grpc_1_connection"
"""What the limit is of."""

Runs = dict[str, list[Load]]


def measure(*, repeats: int = REPEATS, seconds: float = SECONDS) -> dict[str, Any]:
    """All figures; ``ratio`` is calls a second on one connection over requests on 64, the median of pairs."""
    with ExitStack() as stack:
        machine = stack.enter_context(rig.machine(["gateway", "scorer"], grpc=True))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atalaia-bench-")))
        data = rig.answered_rows(machine, BODIES, seed=5)
        rows = [data[place : place + 1] for place in range(len(data))]
        bodies, messages = folder / "bodies", folder / "messages"
        bodies.write_bytes(b"\n".join(rig.request_body(row, f"{n:08x}") for n, row in enumerate(rows)))
        messages.write_bytes(write_messages([_message(row, f"{n:08x}") for n, row in enumerate(rows)]))
        names = {"gateway": "gateway", "scorer": "scorer-0", "kafka": "kafka"}
        pids = {name: pid for name, process in names.items() if (pid := machine.pid(process)) is not None}
        settings = machine.settings.gateway
        ours = f"{settings.host}:{settings.grpc_port}"
        theirs, noop_pid = stack.enter_context(noop_grpc.serve(folder))
        url = f"{machine.addresses.gateway}/v2/models/{bundles.NAME}/infer"

        def load(name: str, seconds: float) -> Load:
            timing: dict[str, Any] = {"seconds": seconds, "warm_up_seconds": WARM_UP_SECONDS}
            if name == HTTP:
                return _expect("200", run_http(url, bodies, connections=CALLS, pids=pids, **timing))
            if name == noop_grpc.NAME:
                measured = {noop_grpc.NAME: noop_pid}
                loaded = run_grpc(theirs, messages, connections=1, calls=CALLS, pids=measured, **timing)
            else:
                on = CONNECTIONS[name]
                loaded = run_grpc(ours, messages, connections=on, calls=CALLS, pids=pids, **timing)
            return _expect("0", loaded)

        runs: Runs = {name: [] for name in (HTTP, *CONNECTIONS, noop_grpc.NAME)}
        for name in runs:
            load(name, WARM_UP_SECONDS)
        order = list(runs)
        for turn in range(repeats):
            for name in order:
                rig.tell(f"{name} ({turn + 1} of {repeats})")
                runs[name].append(load(name, seconds))
            order.append(order.pop(0))  # whoever comes first is not always the same
    return summary(runs)


def summary(runs: Runs) -> dict[str, Any]:
    """The answer of the bench; ratios are medians of those of each turn."""
    beside: dict[str, float] = {}
    for name, loads in runs.items():
        beside[f"{name}_per_second"] = statistics.median(load.requests_per_second for load in loads)
        beside[f"{name}_p50_ms"] = statistics.median(load.p50_ms for load in loads)
        beside[f"{name}_p99_ms"] = statistics.median(load.p99_ms for load in loads)
        for process in loads[0].cpu_seconds:
            spent = [load.cpu_ms_per_request[process] for load in loads]
            beside[f"{name}_{process}_cpu_ms_a_request"] = statistics.median(spent)
    ratios = {name: _ratios(runs, name) for name in CONNECTIONS}
    return {
        "bench": "grpc",
        "ours": beside[f"{SHARED}_per_second"],
        "beside": {**beside, **{f"{name}_ratio": statistics.median(of) for name, of in ratios.items()}},
        "ratio": statistics.median(ratios[SHARED]),
        "ratios": ratios,
        "cpu_seconds": sum(sum(load.cpu_seconds.values()) for load in runs[SHARED]),
    }


def _ratios(runs: Runs, name: str) -> Sequence[float]:
    return [
        ours.requests_per_second / theirs.requests_per_second
        for ours, theirs in zip(runs[name], runs[HTTP], strict=True)
    ]


def _message(row: FloatArray, request_id: str) -> bytes:
    """The request of `rig.request_body` as a message, the row as raw float32."""
    message = ModelInferRequest(model_name=bundles.NAME, id=request_id)
    message.inputs.add(name="input", datatype="FP32", shape=row.shape)
    message.raw_input_contents.append(row.astype(np.dtype("<f4")).tobytes())
    return message.SerializeToString()


def _expect(status: str, load: Load) -> Load:
    if set(load.statuses) != {status}:
        raise RuntimeError(f"answered with {load.statuses}, expected {status} alone")
    return load
