"""``atalaia models`` against the real broker, with nothing but Kafka's settings."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.broker.cli.conftest import Shell
from tests.broker.gateway.models import mixed_bundle, numeric_bundle

pytestmark = pytest.mark.broker


def test_what_is_deployed_is_listed_with_role_digest_positions_and_state(
    shell: Shell, tmp_path: Path
) -> None:
    first = numeric_bundle(tmp_path / "panel-1")
    second = numeric_bundle(tmp_path / "panel-2", version="2")
    loan = mixed_bundle(tmp_path / "loan")

    told = shell.json("models", "deploy", str(first.folder))
    assert told["changed"]
    assert told["digest"] == first.digest
    again = shell.json("models", "deploy", str(first.folder))
    assert again == told | {"changed": False}
    shell.json("models", "deploy", str(loan.folder))
    shell.json("models", "deploy", str(second.folder), "--role", "primary")

    entries = shell.json("models", "list")
    assert [(entry["model"], entry["version"], entry["role"], entry["current"]) for entry in entries] == [
        ("panel", "2", "primary", True),
        ("panel", "1", "primary", False),
        ("loan", "7", "primary", True),
    ]
    assert [entry["default"] for entry in entries] == [True, True, False]
    assert all(entry["verified"] and entry["problem"] is None for entry in entries)
    # Behind the mark that announced it on each partition; the first one of a model needs none.
    assert entries[0]["from"] == {"0": 1, "1": 1, "2": 1, "3": 1}
    assert entries[1]["from"] == {"0": 0, "1": 0, "2": 0, "3": 0}
    assert entries[0]["location"] == str(second.folder)

    table = shell.run("models", "list").out
    assert "former primary" in table
    assert second.digest.removeprefix("sha256:")[:12] in table
    assert second.digest.removeprefix("sha256:") not in table
    assert table.count("verified") == 3


def test_versions_are_promoted_rolled_back_and_retired(shell: Shell, tmp_path: Path) -> None:
    for version in "123":
        numeric_bundle(tmp_path / version, version=version)
    shell.json("models", "deploy", str(tmp_path / "1"))
    canary = shell.json("models", "deploy", str(tmp_path / "2"), "--role", "canary", "--weight", "5")
    assert (canary["role"], canary["weight"], canary["current"]) == ("canary", 5.0, True)
    shell.json("models", "deploy", str(tmp_path / "3"), "--role", "shadow")
    assert "canary 5 %" in shell.run("models", "list").out
    assert shell.json("models", "promote", "panel", "2") == {
        "model": "panel",
        "primary": "2",
        "canary": None,
        "shadows": ["3"],
        "changed": True,
    }
    assert not shell.json("models", "promote", "panel", "2")["changed"]
    assert shell.json("models", "rollback", "panel")["primary"] == "1"
    assert shell.json("models", "retire", "panel", "3")["shadows"] == []
    assert shell.run("models", "promote", "panel", "3").status == 1
    assert "no version '3' deployed" in shell.err
    assert shell.run("models", "rollback", "nobody").status == 1
    assert "deployed: panel" in shell.err


def test_a_shadow_that_takes_other_rows_is_refused(shell: Shell, tmp_path: Path) -> None:
    shell.json("models", "deploy", str(numeric_bundle(tmp_path / "1").folder))
    other = mixed_bundle(tmp_path / "2", name="panel")
    assert shell.run("models", "deploy", str(other.folder), "--role", "shadow").status == 1
    assert "takes other features" in shell.err


@pytest.mark.parametrize(
    ("monitors", "named"),
    [
        ({"drift": {"windw": "1h"}}, "windw"),
        ({"fairness": {"attributes": ["race"]}}, "fairness.attributes: race is not known here"),
        ({"labels": {"horizon": "60d"}}, "kept for 30d; shorten them"),
    ],
    ids=["unknown", "unfit", "longer than kept"],
)
def test_a_bundle_that_could_not_be_watched_as_it_says_is_refused(
    shell: Shell, tmp_path: Path, monitors: dict[str, Any], named: str
) -> None:
    bundle = numeric_bundle(tmp_path / "1", monitors=monitors)
    assert shell.run("models", "deploy", str(bundle.folder)).status == 1
    assert named in " ".join(shell.err.split())
    assert shell.json("models", "list") == []


def test_a_bundle_changed_behind_its_deployment_is_shown_and_named(shell: Shell, tmp_path: Path) -> None:
    bundle = numeric_bundle(tmp_path / "panel")
    shell.json("models", "deploy", str(bundle.folder))
    with (bundle.folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    (entry,) = shell.json("models", "list")
    assert not entry["verified"]
    assert "model.onnx" in entry["problem"]
    assert "refused" in shell.run("models", "list").out
    assert shell.run("models", "deploy", str(bundle.folder)).status == 1
    assert "model.onnx" in shell.err


def test_the_same_version_with_another_digest_is_refused(shell: Shell, tmp_path: Path) -> None:
    shell.json("models", "deploy", str(numeric_bundle(tmp_path / "panel").folder))
    other = numeric_bundle(tmp_path / "other", version="1")
    (other.folder / "card.md").write_text("another card")
    made = [line for line in (other.folder / "SHA256SUMS").read_text().splitlines() if "card.md" not in line]
    digest = hashlib.sha256(b"another card").hexdigest()
    (other.folder / "SHA256SUMS").write_text("\n".join([*made, f"{digest}  card.md"]) + "\n")
    assert shell.run("models", "deploy", str(other.folder)).status == 1
    assert "give the changed bundle a version of its own" in shell.err


def test_without_topics_or_kafka_it_says_what_to_do(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell.run("models", "list").status == 1
    assert "create them with `atalaia up`" in shell.err
    monkeypatch.delenv("ATALAIA_KAFKA__BOOTSTRAP_SERVERS")
    assert shell.run("models", "list").status == 1
    assert "ATALAIA_KAFKA__BOOTSTRAP_SERVERS" in shell.err
