"""The first act: rows over HTTP and Kafka, a scorer killed on the way, and a count of every answer."""

import secrets
from pathlib import Path
from typing import Any

from atalaia.demo import steps
from atalaia.demo.checks import Checks
from atalaia.demo.conclusion import count_all
from atalaia.demo.failover import kill_a_scorer
from atalaia.demo.log import Watcher, Writer
from atalaia.demo.stage import Stage, Starts
from atalaia.demo.telling import Teller
from atalaia.demo.traffic import Traffic
from atalaia.demo.tries import Try
from atalaia.runtime.machine import Machine

HTTP_SHARE, FAILOVER_SHARE = 0.25, 0.25
"""Of all rows; the rest, the larger part, is written straight to Kafka at once."""


def tell_rows(
    machine: Machine, bundle: Path, rows: int, tell: Teller, checks: Checks
) -> tuple[dict[str, Any], list[Try]]:
    """The steps, in order; figures, and requests to try by hand.

    Parameters
    ----------
    bundle : folder of the model that is asked
    """
    run = secrets.token_hex(4)
    kafka = machine.settings.kafka
    over_http, around_kill = int(rows * HTTP_SHARE), int(rows * FAILOVER_SHARE)
    starts = Starts.now(kafka)
    with Watcher(kafka, starts.predictions) as watcher:
        stage = Stage(
            machine=machine,
            url=machine.addresses.gateway or "",
            traffic=Traffic(rows, run),
            watcher=watcher,
            writer=Writer(kafka),
            starts=starts,
            run=run,
            tell=tell,
            checks=checks,
        )
        tell.step("Over HTTP, and straight to Kafka")
        steps.post_rows(stage, over_http)
        steps.write_rows(stage, rows - over_http - around_kill)
        tell.step("A scorer is killed")
        kill_a_scorer(stage, around_kill)
        tell.step("Refused, one of each kind")
        steps.refuse(stage, bundle)
        tries = steps.try_by_hand(stage)
        tell.step("The count")
        count_all(stage)
    return stage.figures, tries
