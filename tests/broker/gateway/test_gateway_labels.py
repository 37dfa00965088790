"""Labels posted and read back from the topic, with marks of time between them."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest
from confluent_kafka import Message

from atalaia.labels import LabelRows, read_labels
from atalaia.records import TimeMark
from atalaia.settings import KafkaSettings, Settings
from atalaia.stream.admin import create_topics
from atalaia.stream.deploy import deploy
from atalaia.stream.logs import LogReader
from atalaia.stream.partitioner import partition_of
from atalaia.topics import LABELS
from tests.broker.gateway import processes
from tests.broker.gateway.conftest import environment_of

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def labelled(
    kafka: str, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, str]]:
    """Settings and URL of a gateway without a scorer; `panel` is the default model."""
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka, topic_prefix="labelled."))
    create_topics(settings.kafka)
    for name in ("panel", "loan"):
        deploy(bundles[name], settings=settings)
    with processes.gateway(tmp_path_factory.mktemp("labelled"), environment_of(settings)) as gateway:
        yield settings, gateway.url


@pytest.fixture
def log(labelled: tuple[Settings, str]) -> Callable[[], list[Message]]:
    """Reads `labels` to its present end."""

    def read() -> list[Message]:
        with LogReader(labelled[0].kafka, (LABELS,)) as reader:
            return list(reader.read_to_end())

    return read


def written(messages: list[Message]) -> list[tuple[Message, LabelRows]]:
    return [
        (message, read_labels(message.value() or b"", written_ms=message.timestamp()[1]))
        for message in messages
        if not message.headers()
    ]


def test_labels_are_on_the_models_partition_once_they_are_accepted(
    labelled: tuple[Settings, str], log: Callable[[], list[Message]]
) -> None:
    url = labelled[1]
    before_ms = int(time.time() * 1000)
    known = "2026-01-31T12:00:00.000Z"
    posts: list[tuple[str, object, int]] = [
        ("/labels", {"id": "one", "label": 3}, 1),
        ("/feedback", [{"id": "two", "label": "4", "row": 1, "time": known}, {"id": "one", "label": 5}], 2),
        ("/models/loan/labels", {"ids": ["three", "three"], "labels": [1.5, 2], "rows": [0, 1]}, 2),
        ("/labels", {"id": "four", "label": 0.25, "model": "loan"}, 1),
        ("/labels", {"id": "five", "label": 3, "context": {"sex": "F", "age": 40}}, 1),
    ]
    for path, body, count in posts:
        answer = httpx.post(f"{url}{path}", json=body)
        assert (answer.status_code, answer.json()) == (202, {"accepted": count})
    found = [(message, rows) for message, rows in written(log()) if rows.ids[0] in "one two three four five"]
    by_model: dict[str, list[tuple[str, int, object]]] = {"panel": [], "loan": []}
    for message, rows in found:
        model = (message.key() or b"").decode()
        assert message.partition() == partition_of(model, LABELS.partitions)
        assert all(time_ms >= before_ms or time_ms == 1_769_860_800_000 for time_ms in rows.time_ms)
        by_model[model] += zip(rows.ids, rows.rows.tolist(), rows.labels, strict=True)
    assert by_model == {
        "panel": [("one", 0, 3), ("two", 1, "4"), ("one", 0, 5), ("five", 0, 3)],
        "loan": [("three", 0, 1.5), ("three", 1, 2), ("four", 0, 0.25)],
    }
    [context] = [rows.context for _, rows in found if rows.ids == ["five"]]
    assert context == {"age": [40], "sex": ["F"]}


def test_posts_that_come_together_are_all_accepted_in_fewer_messages(
    labelled: tuple[Settings, str], log: Callable[[], list[Message]]
) -> None:
    url = labelled[1]
    with httpx.Client(base_url=url, timeout=15) as client, ThreadPoolExecutor(16) as pool:
        bodies = [{"id": f"many-{number}", "label": 4} for number in range(400)]
        answers = list(pool.map(lambda body: client.post("/labels", json=body), bodies))
    assert {answer.status_code for answer in answers} == {202}
    messages = [rows.ids for _, rows in written(log()) if rows.ids[0].startswith("many-")]
    assert sorted(name for ids in messages for name in ids) == sorted(str(body["id"]) for body in bodies)
    assert len(messages) < len(bodies)


@pytest.mark.usefixtures("labelled")
def test_marks_are_on_every_partition_and_time_never_goes_back(log: Callable[[], list[Message]]) -> None:
    time.sleep(2.5)
    messages = log()
    now_ms = time.time() * 1000
    for partition in range(LABELS.partitions):
        marks = [
            msgspec.json.decode(message.value() or b"", type=TimeMark)
            for message in messages
            if message.partition() == partition and message.headers() == [("mark", b"clock")]
        ]
        assert len(marks) >= 2
        assert {mark.kind for mark in marks} == {"clock"}
        times = [mark.time_ms for mark in marks]
        assert times == sorted(times)
        assert now_ms - 5_000 < times[-1] <= now_ms


def test_no_label_lies_behind_a_mark_of_a_later_time(
    labelled: tuple[Settings, str], log: Callable[[], list[Message]]
) -> None:
    with httpx.Client(base_url=labelled[1], timeout=15) as client:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            assert client.post("/models/loan/labels", json={"id": "timed", "label": 1}).status_code == 202
    marked_ms, seen = 0, 0
    for message in log():
        if message.partition() != partition_of("loan", LABELS.partitions):
            continue
        if message.headers():
            marked_ms = msgspec.json.decode(message.value() or b"", type=TimeMark).time_ms
        else:
            rows = read_labels(message.value() or b"", written_ms=0)
            if rows.ids[0] == "timed":
                seen += 1
                assert min(rows.time_ms) >= marked_ms
    assert seen > 10


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/labels", {"id": "a", "label": 7}, [("label", 0)]),
        ("/labels", [{"id": "a", "label": 3}, {"id": 5}], [("id", 1), ("label", 1)]),
        ("/labels", {"id": "a", "label": 3, "time": "2999-01-01T00:00:00Z"}, [("time", 0)]),
        ("/labels", {"id": "a", "label": 3, "row": -1}, [("row", 0)]),
        ("/labels", {"id": "a", "label": 3, "context": {"height": 3}}, [("context.height", None)]),
        ("/labels", [], [("body", None)]),
        ("/models/loan/labels", {"id": "a", "label": "high"}, [("label", 0)]),
        ("/models/loan/labels", {"id": "a", "label": 3, "model": "panel"}, [("model", 0)]),
        ("/models/nobody/labels", {"id": "a", "label": 3}, 404),
        ("/labels", {"id": "a", "label": 3, "model": "nobody"}, 404),
        ("/labels", 5, 400),
        ("/labels", [{"id": "a", "label": 3}] * 5_001, 413),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_of_it_taken(
    labelled: tuple[Settings, str],
    log: Callable[[], list[Message]],
    path: str,
    body: object,
    expected: int | list[tuple[str, int | None]],
) -> None:
    """``expected`` is a status, or the fields and places that a 422 names."""
    before = len(written(log()))
    answer = httpx.post(f"{labelled[1]}{path}", json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    if isinstance(expected, int):
        assert answer.status_code == expected
    else:
        assert answer.status_code == 422
        assert [(entry["field"], entry.get("row")) for entry in answer.json()["errors"]] == expected
    assert len(written(log())) == before
