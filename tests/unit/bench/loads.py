"""Ten seconds of load on the servers, for benches to sum up."""

from collections.abc import Sequence

from bench.load import Load


def one_load(rate: float, *, p50_ms: float = 10.0, processes: Sequence[str] = ("gateway",)) -> Load:
    """So many requests a second on 64 connections; each process took five seconds of CPU time."""
    requests = int(rate * 10)
    return Load(
        connections=64,
        requests=requests,
        seconds=10.0,
        p50_ms=p50_ms,
        p99_ms=2 * p50_ms,
        cpu_seconds=dict.fromkeys(processes, 5.0),
        generator_cpu_seconds=2.5,
        statuses={"200": requests},
    )
