"""The demo from the first headline to the last: models made, a machine started, and the steps in order."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recipes
from atalaia.bundles.folder import Bundle
from atalaia.demo import steps, wines
from atalaia.demo.conclusion import count_all, sum_up
from atalaia.demo.failover import kill_a_scorer
from atalaia.demo.log import Watcher, Writer, delete_topics
from atalaia.demo.stage import Stage, Starts
from atalaia.demo.telling import Teller
from atalaia.demo.traffic import Traffic
from atalaia.demo.tries import Try
from atalaia.errors import BundleError
from atalaia.runtime.machine import Machine
from atalaia.settings import Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy

SCORERS = 2
HTTP_SHARE, FAILOVER_SHARE = 0.25, 0.25
"""Of all rows; the rest, the larger part, is written straight to Kafka at once."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it."""

    figures: dict[str, Any]
    held: bool
    tries: list[Try]


class Story:
    """One run of the demo.

    Parameters
    ----------
    settings : as the demo is to run with; wine joins in where they name data
    folder : of the machine's state, and of the bundles made
    rows : how many of the default model's rows to send
    clears_topics : whether the topics are this run's own, on a Kafka that outlives it
    """

    def __init__(
        self, settings: Settings, folder: Path, *, rows: int, tell: Teller, clears_topics: bool = False
    ) -> None:
        self._clears_topics = clears_topics
        self._settings = settings
        self._folder = folder
        self._rows = rows
        self._tell = tell
        self._began = time.monotonic()
        self._bundles: dict[str, Bundle] = {}

    @contextmanager
    def machine(self) -> Iterator[Machine]:
        """Make the models and start everything; leaving it stops everything."""
        self._make_models()
        self._tell.step("A machine")
        with self._tell.waiting("Starting Kafka, Redis, a gateway and two scorers ...") as update:
            began = time.monotonic()
            machine = Machine(
                self._settings,
                self._folder,
                scorers=SCORERS,
                prepare=self._prepare,
                progress=lambda jar: update(f"Fetching Kafka with Maven, once: {jar}"),
            )
            try:
                machine.start()
            except BaseException:
                machine.close()
                raise
            seconds = time.monotonic() - began
        try:
            given = "the Kafka given" if self._settings.kafka.bootstrap_servers else "a real Apache Kafka"
            self._tell.say(
                f"{given[0].upper()}{given[1:]}, Redis, one gateway and {SCORERS} scorers: ready after "
                f"[bold]{seconds:.1f} s[/]."
            )
            yield machine
        finally:
            machine.close()
            if self._clears_topics:
                delete_topics(machine.settings.kafka)

    def tell(self, machine: Machine) -> Told:
        """The steps, in order, and what was found."""
        rows, run = self._rows, secrets.token_hex(4)
        kafka, url = machine.settings.kafka, machine.addresses.gateway or ""
        over_http, around_kill = int(rows * HTTP_SHARE), int(rows * FAILOVER_SHARE)
        starts = Starts.now(kafka)
        with Watcher(kafka, starts.predictions) as watcher:
            stage = Stage(
                machine=machine,
                url=url,
                traffic=Traffic(rows, run),
                watcher=watcher,
                writer=Writer(kafka),
                starts=starts,
                run=run,
                tell=self._tell,
                began=self._began,
            )
            self._tell.step("Rows over HTTP")
            steps.post_rows(stage, over_http)
            self._tell.step("Rows straight to Kafka")
            steps.write_rows(stage, rows - over_http - around_kill)
            self._tell.step("A scorer is killed")
            kill_a_scorer(stage, around_kill)
            if "wine" in self._bundles and self._settings.data_dir is not None:
                self._tell.step("The second model")
                wines.ask_for_wines(stage, self._bundles["wine"], self._settings.data_dir)
            self._tell.step("Refused, one of each kind")
            steps.refuse(stage, self._bundles["bmp"].folder)
            tries = steps.try_by_hand(stage)
            self._tell.step("The count")
            count_all(stage)
            figures = sum_up(stage)
        self._tell.verdict(stage.checks)
        addresses = {"gateway": url, "bootstrap_servers": kafka.bootstrap_servers}
        return Told({**addresses, **figures}, not stage.checks.failed, tries)

    def _make_models(self) -> None:
        self._tell.step("A model" if self._settings.data_dir is None else "Two models")
        bmp, seconds = self._bundle("bmp")
        self._tell.say(
            "[bold]bmp[/]: was a blood sample contaminated with intravenous fluid? "
            f"{len(bmp.manifest.features)} numbers in, simulated, no download; {_made(seconds)}. Rows "
            f"beyond a squared distance of {bmp.reference.applicability.cutoff:.0f} it does not answer."
        )
        if self._settings.data_dir is not None:
            wine, seconds = self._bundle("wine")
            self._tell.say(
                f"[bold]wine[/]: a taster's mark from {len(wine.manifest.features)} measurements, "
                f"UCI wine quality; {_made(seconds)}."
            )

    def _bundle(self, recipe: str) -> tuple[Bundle, float | None]:
        """The recipe's bundle and how long it took to train; None where an earlier run did."""
        out = self._folder / "trained" / recipe
        began = time.monotonic()
        try:
            self._bundles[recipe] = Bundle.read(out)
        except BundleError:
            pass
        else:
            return self._bundles[recipe], None
        with self._tell.bars() as progress:
            made = recipes.load(recipe).train(
                out, data_dir=self._settings.data_dir, progress=progress, replace=True
            )
        self._bundles[recipe] = made
        return made, time.monotonic() - began

    def _prepare(self, resolved: Settings) -> None:
        create_topics(resolved.kafka)
        for bundle in self._bundles.values():
            deploy(bundle.folder, settings=resolved)


def _made(seconds: float | None) -> str:
    return "trained by an earlier run" if seconds is None else f"trained in [bold]{seconds:.1f} s[/]"
