"""A consumer in Java reads `predictions` by the AsyncAPI document alone."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from atalaia.runtime.jars import find_jars
from atalaia.runtime.java import find_java
from atalaia.runtime.machine import Machine

pytestmark = pytest.mark.broker

HERE = Path(__file__).parent
DOCUMENT = Path(__file__).parents[3] / "schemas" / "asyncapi.json"
REQUESTS = 20


def run_reader(
    machine: Machine, document: Path, prefix: str, count: int
) -> "subprocess.CompletedProcess[str]":
    jars = find_jars()
    assert jars is not None, "the machine runs Kafka from them"
    program = [str(find_java()), "-cp", f"{jars}/*", str(HERE / "PredictionReader.java")]
    arguments = [machine.addresses.kafka, str(document), prefix, str(count), "60"]
    return subprocess.run([*program, *arguments], capture_output=True, text=True, check=False, timeout=120)


def answer(url: str, name: str, value: float) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [value, 0.5]}
    body = {"id": name, "inputs": [tensor]}
    response = httpx.post(f"{url}/v2/models/panel/infer", json=body, timeout=20)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_every_answer_is_read_once_by_what_the_document_says(machine: Machine, url: str) -> None:
    names = [f"read-{place}" for place in range(REQUESTS)]
    answers = {name: answer(url, name, place / REQUESTS) for place, name in enumerate(names)}
    done = run_reader(machine, DOCUMENT, "read-", REQUESTS)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    places = ("partition", "offset", "key")
    assert {
        line["id"]: {name: line[name] for name in line if name not in places} for line in lines
    } == answers
    assert len({(line["partition"], line["offset"]) for line in lines}) == len(lines) == REQUESTS


def test_the_reader_believes_the_document(machine: Machine, url: str, tmp_path: Path) -> None:
    answer(url, "believes", 0.0)
    told = json.loads(DOCUMENT.read_text())
    told["components"]["schemas"]["OutputTensor"]["properties"]["shape"] = {"type": "string"}
    other = tmp_path / "asyncapi.json"
    other.write_text(json.dumps(told))
    done = run_reader(machine, other, "believes", 1)
    assert done.returncode != 0
    assert "shape is no string" in done.stderr
