"""``python -m bench NAME [--json]``, what ``atalaia bench`` runs; progress goes to stderr.

With ``--json`` the last line of stdout is the answer as an object: `bench`, `ours`, `beside`, `ratio`,
`cpu_seconds` and the limits; without it, a table of the limits and one of the figures.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Any

import orjson
from rich.console import Console

from atalaia.errors import AtalaiaError
from bench.limits import LIMITS, verdicts
from bench.report import tables

BENCHES = {
    "scorer": "from Kafka to committed predictions and observations, beside a bare consume-produce",
    "gateway": "over HTTP and back, beside a route that does nothing and MLServer",
    "grpc": "over gRPC beside the same over HTTP, 64 under way",
    "swap": "versions swapped while requests come: what a swap adds to a request",
    "kept": "requests with an Idempotency-Key and asynchronous ones, beside plain ones",
    "scale": "two gateway and two scorer processes beside one of each",
    "memory": "of gateway and scorer after 1 M rows and from then on, of the monitors over 5 M",
    "drift": "observations in Kafka to fenced state, beside river, whylogs and Evidently",
    "join": "predictions and labels in Kafka, joined and counted, beside a plain Redis pipeline",
    "platform": "scorer and monitors together at 20,000 rows a second: lag, and CPU time of the monitors",
    "replay": "a file replayed with its monitors, beside a scorer that finds the same rows",
    "failover": "a scorer killed or stopped, another running: how long until replies come again",
}
"""Name and what is measured; the module ``bench.NAME`` has a function ``measure``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", epilog="; ".join(f"{name}: {what}" for name, what in BENCHES.items())
    )
    parser.add_argument("name", metavar="NAME", choices=sorted(BENCHES), help=", ".join(BENCHES))
    parser.add_argument("--json", action="store_true", help="print the answer as one line of JSON")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    console = Console(stderr=True)
    try:
        answer = import_module(f"bench.{given.name}").measure()
    except (AtalaiaError, RuntimeError, TimeoutError) as error:
        console.print(f"[red]{given.name} could not be measured:[/] ", end="")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except ModuleNotFoundError as error:
        console.print(f"[red]{error.name} is not installed;[/] make setup installs what benchmarks need")
        return 1
    answer = judged(answer)
    if given.json:
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
    else:
        tables(answer, Console())
    return 0


def judged(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of a bench with its limits, and whether each is met."""
    return {**answer, "limits": verdicts(answer, LIMITS[answer["bench"]])}


def _end(number: int, _frame: FrameType | None) -> None:
    # As an exception, so that every process started here is ended on the way out.
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
