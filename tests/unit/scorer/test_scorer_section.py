from confluent_kafka import Message

from atalaia.errors import NotReadable
from atalaia.records import SourceRange
from services.scorer.section import Reach, Section
from services.scorer.served import Served
from tests.unit.scorer.polls import answer, message, tensor, view


def test_ranges_chain_from_section_to_section() -> None:
    section = Section({1: Reach(5, 5), 0: Reach(0, 0)}, 0.0)
    assert section.ranges() == [SourceRange(0, 0, 0, 0), SourceRange(1, 5, 5, 0)]
    assert (section.empty, section.moved) == (True, False)
    section.reaches[0].end = 3
    section.reaches[1].at_end = True
    section.polled_at_ms = 42
    assert (section.empty, section.moved) == (False, True)
    assert section.ranges() == [SourceRange(0, 0, 3, 42), SourceRange(1, 5, 5, 42, at_end=True)]
    following = section.next(opened_at_seconds=1.0)
    assert (following.empty, following.moved) == (True, False)
    following.reaches[0].end = 4
    assert following.ranges() == [SourceRange(0, 3, 4, 42), SourceRange(1, 5, 5, 42, at_end=True)]
    assert section.reaches[0].end == 3


def test_a_prediction_is_found_by_the_key_else_by_the_id(line: Served) -> None:
    section = Section({0: Reach(0, 0)}, 0.0)
    row = [[0.0, 0.0]]
    messages = [
        message(tensor(row, "mine"), key=b"key"),
        message(tensor(row, "mine"), key=None, at=(0, 1)),
        message(tensor(row), key=None, at=(0, 2)),
    ]
    for scored in answer(view(line), messages).scored:
        section.add_scored(scored)
    assert sorted(section.keys) == [b"atalaia.requests-0-2", b"key", b"mine"]
    assert len(section.predictions) == section.rows == 3
    assert not section.empty


def test_a_failure_has_a_prediction_only_where_its_key_can_find_it() -> None:
    section = Section({0: Reach(0, 0)}, 0.0)
    dead: list[Message] = [
        message(b"x", key=b"key"),
        message(None, key=None, at=(0, 1)),
        message(b"", key=b""),
    ]
    for entry in dead:
        section.add_failure(entry, NotReadable("no"), b"error")
    assert (section.keys, section.predictions) == ([b"key"], [b"error"])
    assert [(letter.offset, letter.key, letter.value) for letter in section.dead_letters] == [
        (0, b"key", b"x"),
        (1, None, None),
        (0, b"", b""),
    ]
