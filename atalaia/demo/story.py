"""The demo from the first headline to the last: models made, a machine started, and the acts in order."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import recipes
from atalaia.bundles.folder import Bundle
from atalaia.demo.adults import DAYS, Census
from atalaia.demo.adults import MODEL as ADULT
from atalaia.demo.audited import audit_all
from atalaia.demo.checks import Checks
from atalaia.demo.electricity import PREVIOUS, TREE, Market
from atalaia.demo.log import delete_topics
from atalaia.demo.plan import DAY_MS, Plan
from atalaia.demo.posting import send_once
from atalaia.demo.refusals import describe
from atalaia.demo.rows import tell_rows
from atalaia.demo.script import Act, Script
from atalaia.demo.telling import Teller
from atalaia.demo.tries import Try, watching_tries
from atalaia.demo.watching import MODEL, Watching
from atalaia.demo.wines import MODEL as WINE
from atalaia.demo.wines import Tasting
from atalaia.errors import BundleError
from atalaia.runtime.machine import Machine
from atalaia.runtime.services import KNOWN
from atalaia.settings import Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from recipes import adult
from recipes.electricity import HalfHours
from recipes.wine import Wines

SCORERS = 2
_ON_DATA = (
    (Act.WINE, WINE, "a taster's mark from {} measurements, UCI wine quality"),
    (
        Act.ADULT,
        ADULT,
        "does somebody earn more than 50,000 dollars? {} columns in, half of them strings, UCI Adult",
    ),
    (Act.ELECTRICITY, TREE, "does the price of electricity go up? {} numbers in, half hours of two years"),
    (Act.ELECTRICITY, PREVIOUS, "the same, but decided elsewhere; {} column in, and out again"),
)
"""Acts that need the data, and their models."""
_MODELS = ("A model", "Two models", "Three models", "Four models", "Five models")


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it."""

    figures: dict[str, Any]
    held: bool
    tries: list[Try] = field(default_factory=list)


class Story:
    """One run of the demo.

    Parameters
    ----------
    settings : as the demo is to run with; what needs data takes part where they name it
    folder : of the machine's state, and of the bundles made
    clears_topics : whether the topics are this run's own, on a Kafka that outlives it
    """

    def __init__(
        self, settings: Settings, folder: Path, script: Script, *, tell: Teller, clears_topics: bool = False
    ) -> None:
        self._clears_topics = clears_topics
        self._settings = settings
        self._folder = folder
        self._script = script
        self._tell = tell
        self._began = time.monotonic()
        self._bundles: dict[str, Bundle] = {}
        self._checks = Checks()
        self._figures: dict[str, Any] = {}
        self._tries: list[Try] = []

    @contextmanager
    def machine(self) -> Iterator[Machine]:
        """Make the models and start everything; leaving it stops everything."""
        self._make_models()
        self._tell.step("A machine")
        with self._tell.waiting("Starting Kafka, Redis and all services ...") as update:
            began = time.monotonic()
            machine = Machine(
                self._settings,
                self._folder,
                services=KNOWN,
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
                f"{given[0].upper()}{given[1:]}, Redis, a gateway, {SCORERS} scorers, and the monitors: "
                f"drift, fairness, alerts. Ready after [bold]{seconds:.1f} s[/]."
            )
            yield machine
        finally:
            machine.close()
            if self._clears_topics:
                delete_topics(machine.settings.kafka)

    def tell(self, machine: Machine) -> Told:
        """The acts, in order, and what was found."""
        for act, title, part in (
            (Act.ROWS, "Rows: what is accepted is answered, exactly once", self._count),
            (Act.WATCHING, "Watching: the monitors read the same stream", self._watch),
            (Act.WINE, "Wine: the experiments of the thesis", self._taste),
            (Act.ADULT, "Adult: real people, by sex, age and race", self._survey),
            (Act.ELECTRICITY, "Electricity: what holds changes with time", self._trade),
        ):
            if act in self._script.acts:
                self._tell.act(title)
                part(machine)
        self._tell.act("All of it, once more")
        self._tell.step("The audit")
        self._figures["audit"] = audit_all(machine.settings.kafka, self._tell, self._checks)
        return self._end(machine)

    def _count(self, machine: Machine) -> None:
        folder = self._bundles[MODEL].folder
        figures, tries = tell_rows(machine, folder, self._script.rows, self._tell, self._checks)
        self._figures |= figures
        self._tries += tries

    def _watch(self, machine: Machine) -> None:
        now_ms = time.time_ns() // 1_000_000
        plan = Plan.until(now_ms, rows_an_hour=self._script.rows_an_hour)
        watching = Watching(machine.settings, plan, self._tell, self._checks, self._script.day_seconds)
        self._tell.step("Nine days of panels")
        replayed = watching.replay(self._folder)
        for title, part in (
            ("Nothing changes", watching.tell_calm),
            ("The truth comes a day late", watching.tell_truth),
            ("The laboratory changes", watching.tell_drift),
            ("One sex's samples are contaminated more often", watching.tell_fairness),
            ("All is as before", watching.tell_endings),
        ):
            self._tell.step(title)
            part(replayed)
        if self._script.report is not None:
            replayed.write_report(self._script.report)
            self._tell.say(f"With pictures: [bold]{self._script.report}[/], a page to open in a browser.")
        self._figures["watching"] = watching.figures
        for line in watching_tries(MODEL):
            answer = send_once(machine.addresses.gateway or "", line.post)
            self._checks.expect(
                f"curl {line.path} ({line.shows})", answer.status == line.status, describe(answer)
            )
            self._tries.append(line)

    def _taste(self, machine: Machine) -> None:
        self._tell.step("Known wines, stronger wines")
        if (data_dir := self._data()) is None:
            return
        start_ms = _midnight_ms() - DAY_MS
        tasting = Tasting(machine.settings, self._bundles[WINE], start_ms, self._tell, self._checks)
        tasting.run(Wines.read(data_dir), self._folder)
        self._figures["wine"] = tasting.figures

    def _survey(self, machine: Machine) -> None:
        self._tell.step("Two days of people")
        if (data_dir := self._data()) is None:
            return
        start_ms = _midnight_ms() - (DAYS + 1) * DAY_MS
        # There are but two days: a worker that stalls for seconds is to tell the first before its truth.
        census = Census(machine.settings, start_ms, 2 * self._script.day_seconds, self._tell, self._checks)
        _, _, held_out = adult.read(data_dir)
        census.run(held_out, self._folder)
        self._figures["adult"] = census.figures

    def _trade(self, machine: Machine) -> None:
        self._tell.step("Two years of half hours")
        if (data_dir := self._data()) is None:
            return
        market = Market(machine.settings, _midnight_ms(), self._tell, self._checks)
        market.run(HalfHours.read(data_dir), self._bundles, self._folder)
        self._figures["electricity"] = market.figures

    def _data(self) -> Path | None:
        """The folder of the data; a word where there is none."""
        if self._settings.data_dir is None:
            self._tell.say("Left out: it needs the data; set ATALAIA_DATA_DIR to its folder.")
        return self._settings.data_dir

    def _end(self, machine: Machine) -> Told:
        checks = self._checks
        seconds = round(time.monotonic() - self._began, 1)
        self._tell.verdict(checks)
        self._tell.say(f"{seconds:.0f} s from the first model to here.")
        figures = {
            "gateway": machine.addresses.gateway,
            "bootstrap_servers": machine.settings.kafka.bootstrap_servers,
            "held": not checks.failed,
            **self._figures,
            "seconds": seconds,
            "checks": [check._asdict() for check in checks],
        }
        return Told(figures, not checks.failed, self._tries)

    def _make_models(self) -> None:
        data_dir = self._settings.data_dir
        others = [one for one in _ON_DATA if one[0] in self._script.acts and data_dir is not None]
        self._tell.step(_MODELS[len(others)])
        bmp, seconds = self._bundle(MODEL)
        self._tell.say(
            "[bold]bmp[/]: was a blood sample contaminated with intravenous fluid? "
            f"{len(bmp.manifest.features)} numbers in, {_made(seconds)}. "
            f"Panels: {bmp.manifest.made['data']}."
        )
        for _, recipe, what in others:
            bundle, seconds = self._bundle(recipe)
            self._tell.say(
                f"[bold]{recipe}[/]: {what.format(len(bundle.manifest.features))}; {_made(seconds)}."
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


def _midnight_ms() -> int:
    """The last one."""
    return time.time_ns() // 1_000_000 // DAY_MS * DAY_MS


def _made(seconds: float | None) -> str:
    return "trained by an earlier run" if seconds is None else f"trained in [bold]{seconds:.1f} s[/]"
