"""A worker gets on, waits for nothing, or is stuck: told apart by the log."""

from atalaia.topics import LABELS, OBSERVATIONS
from atalaia.worker.progress import Progress
from tests.unit.worker.world import PARTITION, MemoryLog

PLACE = (OBSERVATIONS, PARTITION)


def test_records_that_wait_too_long_are_told() -> None:
    log = MemoryLog()
    log.observe(3)
    progress = Progress(log, stuck_after_seconds=30)
    assert progress.look({PLACE: 0}, 100.0) == []
    assert progress.lags == {PLACE: 2}
    assert progress.look({PLACE: 0}, 129.9) == []
    assert progress.look({PLACE: 0}, 130.0) == [PLACE]


def test_a_position_that_moves_is_progress_however_far_behind() -> None:
    log = MemoryLog()
    for _ in range(100):
        log.observe(3)
    progress = Progress(log, stuck_after_seconds=30)
    for step in range(50):
        assert progress.look({PLACE: step}, 20.0 * step) == []
    assert progress.look({PLACE: 49}, 20.0 * 49 + 30) == [PLACE]


def test_markers_behind_the_last_record_are_nothing_to_take() -> None:
    log = MemoryLog()
    log.observe(3, skip=2)
    progress = Progress(log, stuck_after_seconds=30)
    for now in (0.0, 30.0, 60.0):
        assert progress.look({PLACE: 1}, now) == []
    assert progress.lags == {PLACE: 2}
    log.observe(3)
    assert progress.look({PLACE: 1}, 61.0) == []
    assert progress.look({PLACE: 1}, 90.0) == [PLACE]


def test_waiting_begins_when_there_is_something_to_wait_for() -> None:
    log = MemoryLog()
    progress = Progress(log, stuck_after_seconds=30)
    place = (LABELS, PARTITION)
    assert progress.look({place: 0}, 0.0) == []
    assert progress.look({place: 0}, 1000.0) == []
    log.label()
    assert progress.look({place: 0}, 1001.0) == []
    assert progress.look({place: 0}, 1029.0) == []
    assert progress.look({place: 0}, 1031.0) == [place]


def test_places_that_went_to_another_worker_are_forgotten() -> None:
    log = MemoryLog()
    log.observe(3)
    progress = Progress(log, stuck_after_seconds=30)
    progress.look({PLACE: 0}, 0.0)
    assert progress.look({}, 20.0) == []
    assert progress.look({PLACE: 0}, 40.0) == []
