"""``atalaia demo`` as a process, each act whole but with few rows."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.unit.recipes.marks import DATA_DIR, needs_data

pytestmark = pytest.mark.broker

MAIN = "import sys; from atalaia.cli import main; sys.exit(main())"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ATALAIA_")}
    return ours | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "TMPDIR": str(tmp_path)}


def processes_of(folder: Path) -> list[str]:
    """Whatever runs with this folder for temporary files: the demo, and all that it started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(folder):
                found.append(" ".join(process.cmdline()))
    return found


def run(environment: dict[str, str], folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """What a demo found, all of which held, and what it told; nothing of it is left."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "demo", *arguments, "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert told["held"]
    assert all(check["held"] for check in told["checks"])
    assert "All " in done.stderr
    assert told["audit"]["differing"] == 0
    noise = [text for text in done.stderr.splitlines() if "rdkafka" in text or "[thrd:" in text]
    assert noise == []
    # commands to copy are printed as they are
    story = done.stderr.partition("Now you")[0]
    assert max(map(len, story.splitlines())) <= 100
    assert list(folder.glob("atalaia-demo-*")) == []
    assert processes_of(folder) == []
    return told, done.stderr


def test_rows_are_answered_and_counted_and_nothing_is_left(
    environment: dict[str, str], tmp_path: Path
) -> None:
    told, story = run(
        environment, tmp_path, "--act", "rows", "--rows", "600", "--act", "wine", "--act", "adult",
        "--act", "electricity",
    )  # fmt: skip
    total = told["total"]
    assert total["rows"] >= 600
    assert total["requests"] == total["predictions"] + 1  # garbage without a key has a dead letter only
    assert (total["lost"], total["answered_twice"], total["dead_letters"]) == (0, 0, 4)
    assert total["abstained_rows"] >= 40
    assert told["failover"]["open_at_the_kill"] >= 0
    assert 0 < told["failover"]["all_partitions_seconds"] < 20
    assert "curl -s http://127.0.0.1:8080/predict" in story
    assert story.count("Left out: it needs the data; set ATALAIA_DATA_DIR") == 3


@pytest.mark.timeout(300)  # about a minute; more where cores are shared
def test_a_stream_is_watched_and_all_that_changes_in_it_is_found(
    environment: dict[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    told, story = run(
        environment, tmp_path, "--act", "watching", "--rows-an-hour", "150", "--day-seconds", "2",
        "--report", str(page),
    )  # fmt: skip
    found = told["watching"]
    assert found["replay"]["rows"] == 9 * 24 * 150
    assert found["stationary"]["fired"] == 0
    assert found["stationary"]["windows"]["drift"] >= 10
    for topic in ("performance", "fairness"):
        first, last = found["truth"][topic][0], found["truth"][topic][-1]
        assert first["provisional"]
        assert not last["provisional"]
        assert last["revision"] > first["revision"]
        assert last["labelled"] == last["n"] > 3_500
    effects = found["drift"]["effects"]
    assert all(effects[name] >= 0.08 for name in ("chloride", "sodium", "potassium_plas", "co2_totl"))
    assert found["fairness"]["between"] == ["M", "F"]
    assert found["fairness"]["low"] < found["fairness"]["value"] < found["fairness"]["high"] < 0.8
    assert all(alert["until"] is not None for alert in found["alerts"])
    assert told["audit"]["windows"] > 200
    assert page.read_text().startswith("<!doctype html>")
    assert "0 alerts." in story
    assert "/v2/models/bmp/monitors/fairness" in story


@pytest.mark.data
@needs_data
def test_the_wine_experiments_come_out_as_they_are_known(environment: dict[str, str], tmp_path: Path) -> None:
    environment["ATALAIA_DATA_DIR"] = str(DATA_DIR.resolve())
    told, _ = run(environment, tmp_path, "--act", "wine")
    wine = told["wine"]
    assert wine["no_drift"]["rows"] == 4 * 298
    assert round(wine["no_drift"]["accuracy"], 3) == 0.651
    assert abs(wine["no_drift"]["accuracy_answered"] - 0.651) <= 0.01
    assert wine["no_drift"]["fired"] == []
    assert wine["drift"]["rows"] == 3 * 408
    assert round(wine["drift"]["accuracy"], 3) == 0.385
    assert wine["drift"]["small_p_values"] == 11
    assert len(wine["drift"]["named"]) >= 8
    assert "drift inputs" in wine["drift"]["fired"]
    assert round(wine["thesis"]["accuracy"], 3) == 0.853


@pytest.mark.data
@needs_data
def test_real_people_are_flagged_at_rates_of_their_own(environment: dict[str, str], tmp_path: Path) -> None:
    environment["ATALAIA_DATA_DIR"] = str(DATA_DIR.resolve())
    told, story = run(environment, tmp_path, "--act", "adult")
    found = told["adult"]
    assert found["rows"] == found["answered"] + found["abstained"] == 8281
    assert found["counted_again"] > 4_000
    assert set(found["alerts"]) >= {"flag_rate_ratio by sex", "flag_rate_ratio by age"}
    assert [day["between"] for day in found["by_sex"]] == [["Female", "Male"]] * 2
    assert all(0 < day["low"] < day["value"] < day["high"] < 0.8 for day in found["by_sex"])
    assert found["prevalence"]["Female"][1] < 0.2 < found["prevalence"]["Male"][0]
    assert "Amer-Indian-Eskimo" in story


@pytest.mark.data
@needs_data
def test_a_rule_that_ceases_to_hold_is_seen_in_the_errors(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment["ATALAIA_DATA_DIR"] = str(DATA_DIR.resolve())
    told, story = run(environment, tmp_path, "--act", "electricity")
    found = told["electricity"]
    assert found["rows"] == found["answered"] + found["abstained"] == 36_672
    assert 0 < found["abstained"] < 200
    assert round(found["reference"], 2) == 0.84
    windows = found["windows"]
    assert len(windows) == 27
    assert sum(window["hit"] for window in windows) == 12
    (alert,) = found["alerts"]
    hits = [window for window in windows if window["hit"]]
    assert alert["since"] in [window["start"] for window in hits]
    assert alert["until"] > hits[-1]["end"]
    assert found["detections"]["ddm"] > found["detections"]["adwin"] > len(windows)
    assert all(one["since"] < one["at"] for one in found["beside"].values())
    assert found["drift"]["hits"]["period"] == 0
    assert found["drift"]["hits"]["vicprice"] < found["drift"]["hits"]["nswprice"]
    previous = found["previous"]
    assert previous["rows"] == previous["answered"] == 45_311
    assert round(previous["accuracy"], 3) == 0.853
    assert previous["alerts"] == []
    assert "An alert on accuracy since day 405" in story


def test_an_interrupted_demo_leaves_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAIN, "demo", "--rows", "600"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        me = psutil.Process(process.pid)
        while not (descendants := me.children(recursive=True)):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 130  # as shells say of what Ctrl-C ended
    _, left = psutil.wait_procs(descendants, timeout=2)
    assert [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.glob("atalaia-demo-*")) == []
