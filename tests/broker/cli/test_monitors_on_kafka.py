"""``atalaia monitors`` and ``atalaia status`` against the real broker and Redis."""

import time
from pathlib import Path

import msgspec
import orjson
import pytest

from atalaia.alerts import AlertEvent
from atalaia.monitors.drift.reference import StreamReference
from atalaia.records import MonitorChange, Observation, SourceRange
from atalaia.settings import load
from atalaia.state.fence import Fence, Step, Unit
from atalaia.state.redis import connect
from atalaia.stream.ledger import read_topic
from atalaia.stream.partitioner import partition_of
from atalaia.stream.publishing import publish
from atalaia.topics import ALERTS, OBSERVATIONS
from tests.broker.cli.conftest import Shell
from tests.broker.gateway.models import numeric_bundle

pytestmark = pytest.mark.broker


def changes() -> list[tuple[int, int, MonitorChange]]:
    found = []
    for message in read_topic(load().kafka, OBSERVATIONS):
        record = msgspec.json.decode(message.value() or b"", type=Observation)
        found += [(message.partition() or 0, message.offset() or 0, change) for change in record.changes]
    return found


def test_what_is_set_lies_in_band_and_is_repeated_in_the_record(shell: Shell, tmp_path: Path) -> None:
    shell.json("models", "deploy", str(numeric_bundle(tmp_path / "panel").folder))
    shown = shell.json("monitors", "show", "panel")
    assert shown["since"] is None
    assert shown["settings"]["drift"]["window"] == "1h"

    told = shell.json("monitors", "set", "panel", "drift.window=30m", "drift.detectors=[]")
    assert told["changed"]
    assert told["set"] == {"drift": {"window": "30m", "detectors": []}}
    assert told["digest"] != shown["digest"]
    ((partition, offset, change),) = changes()
    assert partition == partition_of("panel", OBSERVATIONS.partitions)
    assert (change.model, change.monitors) == ("panel", told["set"])
    assert told["since"]["position"] == offset

    # The next one says the whole of what is set.
    told = shell.json("monitors", "set", "panel", "fairness.depth=1", "--unset", "drift.detectors")
    assert told["set"] == {"drift": {"window": "30m"}, "fairness": {"depth": 1}}
    assert changes()[-1][2].monitors == told["set"]
    assert shell.json("monitors", "show", "panel")["digest"] == told["digest"]
    assert not shell.json("monitors", "set", "panel", "fairness.depth=1")["changed"]
    assert len(changes()) == 2
    assert "drift.window" in shell.run("monitors", "show", "panel").out

    assert shell.run("monitors", "set", "panel", "drift.effects=1").status == 1
    assert "effects" in shell.err
    assert shell.run("monitors", "set", "panel").status == 2
    assert shell.run("monitors", "show", "nobody").status == 1
    assert "deployed: panel" in shell.err
    assert len(changes()) == 2


def test_a_deployment_goes_on_with_what_was_set(shell: Shell, tmp_path: Path) -> None:
    shell.json("models", "deploy", str(numeric_bundle(tmp_path / "panel").folder))
    shell.json("monitors", "set", "panel", "drift.window=30m")
    shell.json("models", "deploy", str(numeric_bundle(tmp_path / "panel-2", version="2").folder))
    shown = shell.json("monitors", "show", "panel")
    assert (shown["version"], shown["settings"]["drift"]["window"]) == ("2", "30m")


def test_a_reference_of_rows_of_the_stream_or_of_a_file_lies_in_band(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATALAIA_BUNDLES__STORE", str(tmp_path / "store"))
    bundle = numeric_bundle(tmp_path / "panel")
    shell.json("models", "deploy", str(bundle.folder))
    shell.json("monitors", "set", "panel", "drift.effect=0.1")
    names = [feature.name for feature in bundle.manifest.features]
    lines = [",".join(names), *(",".join(["0.5"] * len(names)) for _ in range(20))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    told = shell.json("monitors", "rebaseline", "panel", "--csv", str(tmp_path / "rows.csv"))
    assert told["rows"] == 20
    assert told["set"] == {"drift": {"effect": 0.1}}
    change = changes()[-1][2]
    assert change.reference is not None
    assert change.reference.location.startswith(str(tmp_path / "store" / "panel" / "references"))
    reference = StreamReference.from_bytes(Path(change.reference.location).read_bytes())
    assert reference.columns.keys() >= {*names, "score", "applicability", "abstained"}
    # What is set later keeps the reference.
    assert shell.json("monitors", "set", "panel", "drift.q=0.02")["reference"] == told["reference"]

    assert shell.run("monitors", "rebaseline", "panel").status == 1
    assert "hold 0 rows" in shell.err
    window = "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"
    assert shell.run("monitors", "rebaseline", "panel", "--window", window).status == 1
    assert "has no row as primary" in shell.err
    assert shell.run("monitors", "rebaseline", "panel", "--window", "now").status == 2


def test_status_tells_lags_from_fences_alerts_and_what_is_stuck(
    shell: Shell, tmp_path: Path, empty_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATALAIA_REDIS__URL", empty_redis_url)
    shell.json("models", "deploy", str(numeric_bundle(tmp_path / "panel").folder))
    kafka = load().kafka
    observation = Observation("scorer", [SourceRange(0, 0, 0, 1, at_end=True)], [])
    for _ in range(3):
        publish(kafka, OBSERVATIONS, observation, partition=2)
    state = connect(empty_redis_url)
    unit = Unit("drift", 2, "c0ffee")
    loaded = state.load(unit)
    step = Step(
        expected=loaded.token,
        fence=Fence({OBSERVATIONS.name: 1}, {}),
        nonce=b"n" * 16,
        incarnation=loaded.incarnation,
    )
    state.step(unit, step)
    event = AlertEvent(
        id="1", fingerprint="f", status="firing", severity="warning", model="panel", version="1",
        monitor="drift", subject="a", since="2026-01-01T00:00:00.000Z", until=None, evidence={},
    )  # fmt: skip
    publish(kafka, ALERTS, event, key="f")

    told = shell.json("status")
    assert told["ok"], told["problems"]
    assert told["services"]["drift"]["lag"] == 2
    assert told["services"]["drift"]["topics"]["observations"][2]["position"] == 1
    assert told["services"]["fairness"]["lag"] == 3
    assert told["services"]["scorer"]["lag"] == 0
    assert [(entry["status"], entry["subject"]) for entry in told["alerts"]] == [("firing", "a")]
    assert [entry["model"] for entry in told["models"]] == ["panel"]
    assert told["observations"][0]["partition"] == 2
    assert told["observations"][0]["age_seconds"] < 60
    assert told["dead_letters"] == {"total": 0, "last_hour": 0, "reasons": {}}
    shown = shell.run("status").out
    assert "firing" in shown
    assert "panel (default)" in shown

    monkeypatch.setenv("ATALAIA_DRIFT__STUCK_AFTER", "100ms")
    time.sleep(0.2)
    assert shell.run("status", "--json").status == 1
    problems = orjson.loads(shell.out.splitlines()[-1])["problems"]
    assert [problem.split(":")[0] for problem in problems] == ["drift"]


def test_status_says_which_part_is_down_and_shows_the_others(
    shell: Shell, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATALAIA_REDIS__URL", redis_url)
    monkeypatch.setenv("ATALAIA_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert shell.run("status", "--json").status == 1
    told = orjson.loads(shell.out.splitlines()[-1])
    assert told["redis"]["reachable"]
    assert not told["kafka"]["reachable"]
    assert shell.run("status").status == 1
    assert "does not answer" in shell.out


def test_without_redis_status_still_looks_at_kafka(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.json("models", "deploy", str(numeric_bundle(tmp_path / "panel").folder))
    monkeypatch.setenv("ATALAIA_REDIS__URL", "redis://127.0.0.1:1/0")
    assert shell.run("status", "--json").status == 1
    told = orjson.loads(shell.out.splitlines()[-1])
    assert not told["redis"]["reachable"]
    assert told["kafka"]["reachable"]
    assert [entry["model"] for entry in told["models"]] == ["panel"]
