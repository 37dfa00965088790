"""``atalaia labels`` against the real broker, with nothing but Kafka's settings."""

from pathlib import Path

import pytest

from atalaia.labels import read_labels
from atalaia.settings import load
from atalaia.stream.logs import LogReader
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS
from tests.broker.cli.conftest import Shell
from tests.broker.gateway.models import numeric_bundle

pytestmark = pytest.mark.broker


def test_labels_of_a_file_are_on_the_models_partition_and_wrong_lines_are_named(
    shell: Shell, tmp_path: Path
) -> None:
    shell.json("models", "deploy", str(numeric_bundle(tmp_path / "panel").folder))
    path = tmp_path / "labels.csv"
    lines = [f"request-{number},{3 + number % 3},F" for number in range(2_500)]
    lines[7], lines[1_999] = "request-7,9,F", "request-1999,3,X"
    path.write_text("\n".join(["id,label,sex", *lines]))

    told = shell.json("labels", str(path), "--model", "panel")
    assert told.keys() == {"accepted", "refused", "seconds"}
    assert (told["accepted"], told["refused"]) == (2_498, 2)
    assert 'line 9: label: "9", expected a class, one of 3, 4, 5' in shell.err
    assert "line 2001: sex" in shell.err

    with LogReader(load().kafka, (LABELS,)) as reader:
        messages = list(reader.read_to_end())
    read = [read_labels(message.value() or b"", written_ms=0) for message in messages]
    assert [len(rows) for rows in read] == [999, 999, 500]
    assert {message.partition() for message in messages} == {partition_of("panel", LABELS.partitions)}
    assert {message.key() for message in messages} == {b"panel"}
    ids = [name for rows in read for name in rows.ids]
    assert ids == [f"request-{number}" for number in range(2_500) if number not in (7, 1_999)]
    assert all(set(rows.context["sex"]) == {"F"} for rows in read)


def test_a_file_of_which_nothing_fits_and_models_that_are_not_there(shell: Shell, tmp_path: Path) -> None:
    shell.json("models", "deploy", str(numeric_bundle(tmp_path / "panel").folder))
    path = tmp_path / "labels.csv"
    path.write_text("id,label\na,9\n")
    assert shell.run("labels", str(path), "--model", "panel").status == 1
    assert "0 labels accepted, 1 refused" in shell.err
    assert shell.run("labels", str(path), "--model", "nobody").status == 1
    assert "models deployed: panel" in shell.err
    path.write_text("name,label\na,9\n")
    assert shell.run("labels", str(path), "--model", "panel").status == 1
    assert "lacks column 'id'" in shell.err
    assert shell.run("labels", str(tmp_path / "nowhere.csv"), "--model", "panel").status == 2
