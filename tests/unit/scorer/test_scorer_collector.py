import pytest

from services.scorer.collector import BUDGET, Collector


class Python:
    """Stands for the modules `time` and `gc`; a collection takes ``took_seconds``."""

    def __init__(self) -> None:
        self.now = 100.0
        self.took_seconds = 0.0
        self.calls: list[str] = []

    def monotonic(self) -> float:
        return self.now

    def collect(self) -> None:
        self.calls.append("collect")
        self.now += self.took_seconds

    def freeze(self) -> None:
        self.calls.append("freeze")

    def disable(self) -> None:
        self.calls.append("disable")


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> Python:
    python = Python()
    monkeypatch.setattr("services.scorer.collector.time", python)
    monkeypatch.setattr("services.scorer.collector.gc", python)
    return python


def test_python_collects_no_more_by_itself(python: Python) -> None:
    Collector()
    assert python.calls == ["collect", "freeze", "disable"]


def test_collections_come_at_their_interval(python: Python) -> None:
    tamed = Collector(interval_seconds=5.0)
    python.now += 4.9
    assert tamed.collect_if_due() is None
    python.now += 0.2
    assert tamed.collect_if_due() == 0.0
    assert tamed.collect_if_due() is None
    assert python.calls.count("collect") == 2


def test_slow_collections_come_more_rarely(python: Python) -> None:
    tamed = Collector(interval_seconds=5.0)
    python.now += 5.0
    python.took_seconds = 1.0
    began = python.now
    assert tamed.collect_if_due() == 1.0
    python.now = began + 1.0 / BUDGET - 0.1
    assert tamed.collect_if_due() is None
    python.now = began + 1.0 / BUDGET
    assert tamed.collect_if_due() == 1.0
