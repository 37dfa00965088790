"""The model that chaos serves, and the machine that serves and watches it with windows of seconds."""

from pathlib import Path

import msgspec

from atalaia.bundles.build import build_bundle
from atalaia.bundles.folder import Bundle
from atalaia.bundles.manifest import ContextColumn
from atalaia.inference.rows import Rows
from atalaia.runtime.machine import Machine
from atalaia.runtime.services import MONITORS
from atalaia.settings import (
    AlertsServiceSettings,
    BundlesSettings,
    DriftServiceSettings,
    FairnessServiceSettings,
    GatewaySettings,
    KafkaSettings,
    RedisSettings,
    ScorerSettings,
    Settings,
)
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from bench import bundles

NAME = bundles.NAME
ATTRIBUTE, VALUES = "sex", ("F", "M")
LATENESS_SECONDS = 2.0
LONGEST_SECONDS = 10.0
"""Windows close so long after their last row, with what their lateness adds."""

_TABLES = {
    "drift": {
        "window": "5s",
        "lateness": "2s",
        "earlier": ["10s"],
        "minimum_window": "5s",
        "minimum_window_rows": 50,
    },
    "performance": {"window": "10s", "lateness": "2s", "minimum_labelled_rows": 20},
    "fairness": {"window": "10s", "lateness": "2s"},
    "labels": {"horizon": "1m"},
    "abstention": {"window": "10s", "lateness": "2s"},
    "latency": {"window": "10s"},
    "silence": {"after": "10s"},
}


def make_bundle(folder: Path, *, version: str = "1") -> Bundle:
    """The model of the benchmarks, with an attribute to be fair about, and watched closely."""
    made = bundles.make_bundle(folder / f"bare-{version}")
    manifest = msgspec.structs.replace(
        made.manifest,
        version=version,
        context=(ContextColumn(ATTRIBUTE, categories=VALUES),),
        monitors=_TABLES,
    )
    served = bundles.rows(2_000, seed=2 + int(version)).astype("f4").astype("f8")
    model = (made.folder / "model.onnx").read_bytes()
    return build_bundle(folder / version, manifest=manifest, model=model, rows=Rows(numeric=served))


def make_machine(state: Path, bundle: Path) -> Machine:
    """Two scorers, a worker of each monitor, and the bundle deployed."""

    def prepare(settings: Settings) -> None:
        create_topics(settings.kafka)
        deploy(bundle, settings=settings)

    settings = Settings(
        kafka=KafkaSettings(port=0, controller_port=0),
        redis=RedisSettings(port=0),
        bundles=BundlesSettings(store=state / "bundles"),
        gateway=GatewaySettings(port=0, deadline=2.0),
        scorer=ScorerSettings(metrics_port=0),
        drift=DriftServiceSettings(metrics_port=0),
        fairness=FairnessServiceSettings(metrics_port=0),
        alerts=AlertsServiceSettings(metrics_port=0),
    )
    return Machine(settings, state, services=("gateway", "scorer", *MONITORS), scorers=2, prepare=prepare)
