"""The latest results by window, however they come, within bounds; windows as they are asked for."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.alerts import rfc3339
from atalaia.errors import InvalidInput
from services.gateway.watching.windows import Wanted, WindowIndex, read_window

ALL = Wanted("within")
EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"


def result(
    start: int, end: int, cut: tuple[int, int, int | None], *, version: str = "1", role: str = "primary"
) -> bytes:
    members = {
        "model": "m",
        "version": version,
        "role": role,
        "window": {"start": rfc3339(start), "end": rfc3339(end)},
        "cut": {"generation": cut[0], "observations": cut[1], "labels": cut[2]},
    }
    return msgspec.json.encode(members)


def shown(index: WindowIndex, wanted: Wanted = ALL, **given: str) -> list[bytes]:
    return index.find("drift", "m", wanted, **given).results()


results = st.tuples(
    st.sampled_from(["1", "2"]),
    st.integers(0, 4),
    st.tuples(st.integers(0, 1), st.integers(0, 3), st.none() | st.integers(0, 2)),
)


@given(st.lists(results, max_size=20), st.randoms(use_true_random=False))
def test_the_latest_revision_wins_in_whichever_order_they_come(
    given: list[tuple[str, int, tuple[int, int, int | None]]], order: "object"
) -> None:
    latest: dict[tuple[str, int], tuple[int, int, int]] = {}
    shuffled = list(given)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    index = WindowIndex()
    for version, hour, cut in shuffled:
        index.take("drift", result(hour, hour + 1, cut, version=version))
        key, full = (version, hour), (cut[0], cut[1], cut[2] or 0)
        latest[key] = max(full, latest.get(key, full))
    found = [msgspec.json.decode(entry) for entry in shown(index)]
    assert len(found) == len(latest) == index.windows
    for entry in found:
        cut = entry["cut"]
        hour = next(hour for _, hour in latest if rfc3339(hour) == entry["window"]["start"])
        assert latest[entry["version"], hour] == (cut["generation"], cut["observations"], cut["labels"] or 0)


def test_what_is_asked_for() -> None:
    index = WindowIndex()
    day = result(0, 24, (1, 1, None))
    hours = [result(hour, hour + 1, (1, 1, None)) for hour in (22, 23)]
    shadow = result(5, 6, (1, 1, None), version="2", role="shadow")
    for value in (*hours, day, shadow):
        index.take("drift", value)
    assert shown(index) == [shadow, hours[0], day, hours[1]]
    assert shown(index, Wanted("latest")) == [shadow, day, hours[1]]
    assert shown(index, Wanted("latest"), version="1") == [day, hours[1]]
    assert shown(index, ALL, role="shadow") == [shadow]
    assert shown(index, Wanted("within", 22, 24)) == hours
    assert shown(index, Wanted("within", 22, 23.5)) == hours[:1]
    assert index.find("fairness", "m", ALL).results() == []
    assert index.find("drift", "other", ALL).results() == []


def test_beyond_its_bound_the_earliest_windows_are_let_go_and_said_to_be() -> None:
    index = WindowIndex(kept_windows=3)
    values = [result(hour, hour + 1, (1, hour, None)) for hour in range(5)]
    for value in values:
        index.take("drift", value)
    index.take("drift", result(0, 1, (2, 9, None)))
    assert shown(index) == values[2:]
    [unkept] = index.find("drift", "m", ALL).unkept
    assert unkept == ("1", "primary", 2, rfc3339(2))
    assert index.find("drift", "m", Wanted("within", 2)).unkept == []
    assert index.find("drift", "m", Wanted("latest")).unkept == []


def test_memory_is_bounded_over_all_models() -> None:
    one = len(result(0, 1, (1, 0, None)))
    index = WindowIndex(kept_bytes=one * 5)
    for hour in range(50):
        for version in "12":
            index.take("drift", result(hour, hour + 1, (1, hour, None), version=version))
            assert index.bytes <= one * 5
    found = index.find("drift", "m", ALL)
    assert index.bytes == sum(map(len, found.packed))
    assert index.windows == len(found.packed)
    assert sum(entry.windows for entry in found.unkept) + index.windows == 100
    assert {msgspec.json.decode(entry)["version"] for entry in found.results()} == {"1", "2"}


_NO_TIME = result(0, 1, (1, 1, 1)).replace(b"1970", b"year")


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"null", b'{"model": "m"}', _NO_TIME])
def test_what_is_no_result_is_refused_and_changes_nothing(value: bytes) -> None:
    index = WindowIndex()
    with pytest.raises(ValueError):  # noqa: PT011 - whichever kind of it
        index.take("drift", value)
    assert (index.windows, index.bytes) == (0, 0)


@pytest.mark.parametrize("monitor", ["drift", "performance", "fairness"])
def test_results_as_the_monitors_write_them_are_taken(monitor: str) -> None:
    index, value = WindowIndex(), (EXAMPLES / f"{monitor}.json").read_bytes()
    index.take(monitor, value)
    assert index.find(monitor, "bmp", Wanted("latest")).results() == [value]


class TestWindows:
    def test_an_interval_in_any_zone(self) -> None:
        noon = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1000
        assert read_window("2026-01-31T12:00:00Z/2026-01-31T15:00:00+02:00") == (
            "within",
            noon,
            noon + 3_600_000,
        )
        assert read_window("2026-01-31T12:00:00Z/2026-01-31T15:00:00 02:00").end_ms == noon + 3_600_000

    def test_names(self) -> None:
        assert read_window("latest").kind == "latest"
        assert read_window("all") == ALL

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "/",
            "newest",
            "2026-01-31T12:00:00Z",
            "a/b",
            "2026-01-02/2026-01-01",
            "2026-01-01/2026-01-01",
            "2026-01-01/2026-01-02/2026-01-03",
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(InvalidInput, match="window"):
            read_window(text)
