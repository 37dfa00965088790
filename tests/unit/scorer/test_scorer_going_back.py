"""After an aborted transaction the loop reads again from where it began, and forgets no loss."""

import time

import pytest
from confluent_kafka import TopicPartition

from atalaia.errors import LostByRetention, NotReadable
from services.scorer.loop import Loop
from services.scorer.section import DeadLetter, Reach, Section
from tests.unit.scorer.polls import TOPIC


class Aborted:
    """A committer whose transaction was aborted, and the consumer that is sent back."""

    def __init__(self, section: Section) -> None:
        self._section: Section | None = section
        self.sought: list[tuple[int, int]] = []

    def take_aborted(self) -> Section | None:
        section, self._section = self._section, None
        return section

    def seek(self, place: TopicPartition) -> None:
        self.sought.append((place.partition, place.offset))


@pytest.fixture
def aborted() -> Section:
    section = Section({0: Reach(5, 9), 1: Reach(2, 2, at_end=True)}, time.monotonic())
    section.dead_letters = [
        DeadLetter(0, 3, None, None, LostByRetention("requests 3 to 4 were deleted")),
        DeadLetter(0, 6, b"key", b"x", NotReadable("no")),
    ]
    return section


def test_an_aborted_section_is_read_again_and_its_losses_are_told_again(aborted: Section) -> None:
    loop, kafka = object.__new__(Loop), Aborted(aborted)
    vars(loop).update(
        _committer=kafka, _consumer=kafka, _topic=TOPIC, _section=aborted.next(opened_at_seconds=0)
    )
    assert loop._go_back_if_aborted()
    assert kafka.sought == [(0, 5), (1, 2)]
    assert loop._section.reaches == {0: Reach(5, 5), 1: Reach(2, 2)}
    # What could not be read will fail again by itself; what retention took is told by nothing else.
    assert [letter.offset for letter in loop._section.dead_letters] == [3]
    assert not loop._go_back_if_aborted()
