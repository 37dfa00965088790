"""``atalaia audit`` of windows on the real broker: what a monitor published, and what somebody changed."""

from pathlib import Path

import msgspec
import orjson
import pytest

from atalaia.bundles.folder import Bundle
from atalaia.monitors.units import Watched
from atalaia.records import Observation
from atalaia.settings import load
from atalaia.stream.partitioner import partition_of
from atalaia.stream.publishing import publish
from atalaia.topics import DRIFT, OBSERVATIONS
from tests.broker.cli.conftest import Shell
from tests.broker.gateway.models import numeric_bundle
from tests.unit.monitors.drift_log import HOUR, Reader, reach, section
from tests.unit.monitors.drift_log import message as drift_message

pytestmark = pytest.mark.broker


def log_of(bundle: Bundle) -> tuple[Watched, list[Observation]]:
    watched = Watched(bundle.manifest, bundle.reference, bundle.digest)
    log = []
    for hour in range(3):
        rows = section([hour * HOUR + 1000 * place for place in range(40)], watched=watched, seed=hour)
        # Nothing was asked: the rows lie on no position of `requests`.
        rows = msgspec.structs.replace(rows, role="shadow")
        log += [drift_message(rows), reach((hour + 1) * HOUR + 2 * 60_000)]
    return watched, log


def test_windows_are_recounted_and_a_changed_one_is_named(shell: Shell, tmp_path: Path) -> None:
    bundle = numeric_bundle(tmp_path / "panel")
    shell.json("models", "deploy", str(bundle.folder))
    kafka = load().kafka
    watched, log = log_of(bundle)
    reader = Reader(watched)
    for observation in log:
        publish(kafka, OBSERVATIONS, observation, partition=partition_of("panel", OBSERVATIONS.partitions))
        for result in reader.take(observation):
            publish(kafka, DRIFT, result, key="panel")
    assert len(reader.results) == 3

    told = shell.json("audit")
    assert told["windows"] == {"verified": 3, "differing": 0, "unverifiable": 0}
    assert told["window_differences"] == told["unverifiable"] == []
    assert "3 recounted without a difference" in shell.err

    changed = msgspec.structs.replace(reader.results[0], n=41)
    publish(kafka, DRIFT, changed, key="panel")
    assert shell.run("audit", "--json").status == 1
    told = orjson.loads(shell.out.splitlines()[-1])
    assert not told["ok"]
    assert told["windows"] == {"verified": 2, "differing": 1, "unverifiable": 0}
    (difference,) = told["window_differences"]
    assert (difference["monitor"], difference["path"]) == ("drift", "n")
    assert (difference["published"], difference["recomputed"]) == (41, 40)
    assert "windows differ" in shell.err
    assert shell.run("audit", "--no-windows").status == 0

    (bundle.folder / "card.md").write_text("another")
    told = shell.json("audit")
    assert told["ok"]
    assert told["windows"] == {"verified": 0, "differing": 0, "unverifiable": 3}
    assert "is missing" in told["unverifiable"][0]["reason"]
    assert "cannot be verified" in shell.err
