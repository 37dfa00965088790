"""``python -m loadtest.run``: the profiles, one after the other, on a gateway that runs; and their table."""

import sys
import time
from collections.abc import Sequence

import gevent
import orjson
from locust.env import Environment

from loadtest.arguments import parser
from loadtest.tally import Line, Tally, as_object, as_table, find_faults
from loadtest.users import ClosedLoop, OpenLoop

_LATE_SECONDS = 30.0
"""How long the last arrivals of an open loop may take to be answered."""


def closed(host: str, users: int, seconds: float) -> list[Line]:
    """So many users, each sending its next request when the last is answered."""
    tally = ClosedLoop.tally = Tally(f"{users} user{'' if users == 1 else 's'}")
    runner = Environment(
        user_classes=[ClosedLoop], host=host, stop_timeout=_LATE_SECONDS
    ).create_local_runner()
    began = time.perf_counter()
    runner.start(users, spawn_rate=users)
    gevent.sleep(seconds)
    runner.quit()
    return tally.lines(seconds=time.perf_counter() - began)


def opened(host: str, rate: float, seconds: float) -> list[Line]:
    """So many arrivals a second, whatever becomes of those before."""
    tally = OpenLoop.tally = Tally(f"{rate:g}/s arrive")
    OpenLoop.rate, OpenLoop.seconds = rate, seconds
    runner = Environment(user_classes=[OpenLoop], host=host).create_local_runner()
    runner.start(1, spawn_rate=1)
    until = time.perf_counter() + seconds + _LATE_SECONDS
    gevent.sleep(seconds)
    while runner.user_count and time.perf_counter() < until:
        gevent.sleep(0.05)
    runner.quit()
    return tally.lines(seconds=seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every answer was the right one, 1 where any was not."""
    given = parser().parse_args(arguments)
    lines = []
    for users in given.users:
        lines += closed(given.host, users, given.seconds)
    if given.rate:
        lines += opened(given.host, given.rate, given.seconds)
    faults = find_faults(lines)
    if given.json:
        sys.stdout.write(orjson.dumps(as_object(lines)).decode() + "\n")
    else:
        sys.stdout.write(as_table(lines) + "\n")
    for fault in faults:
        sys.stderr.write(f"loadtest: {fault}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
