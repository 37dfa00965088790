"""What the command line of a load test takes."""

import argparse


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    made = argparse.ArgumentParser(prog="python -m loadtest")
    made.add_argument("--host", default="", metavar="URL", help="a gateway; without it a machine is started")
    made.add_argument("--users", type=_counts, default=[1, 5, 10], metavar="N,N,...", help="closed loops")
    made.add_argument(
        "--rate", type=float, default=200.0, help="arrivals a second of the open loop; 0 is none"
    )
    made.add_argument("--seconds", type=float, default=10.0, help="of each profile")
    made.add_argument("--json", action="store_true", help="print one line of JSON instead of a table")
    return made


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]
