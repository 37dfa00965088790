import os
from pathlib import Path

from atalaia.runtime.logs import LogFile


def test_a_file_grown_too_long_is_turned_over_under_its_writer(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "one.log", max_bytes=10)
    descriptor = log.open()
    os.write(descriptor, b"0123456789")
    assert not log.turn_over()
    os.write(descriptor, b"!\n")
    assert log.turn_over()
    os.write(descriptor, b"after\n")
    os.close(descriptor)
    assert log.path.read_text() == "after\n"
    assert log.older.read_text() == "0123456789!\n"


def test_the_tail_is_of_this_life_alone(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "one.log")
    log.write("of a former life")
    since = log.size()
    for number in range(5):
        log.write(f"line {number}")
    assert log.tail(2) == "line 3\nline 4"
    assert log.tail(since=since).splitlines()[0] == "line 0"
    assert LogFile(tmp_path / "none.log").tail() == ""
