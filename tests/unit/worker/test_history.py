"""What a service has said already, as its own topics tell."""

from atalaia.monitors.units import Publication
from atalaia.topics import ALERTS, DRIFT
from atalaia.worker.history import History
from atalaia.worker.outgoing import CONTENT, GENERATION, SOURCE, SUBJECT


def publication(content: str, *, subject: str = "w", once: bool = False) -> Publication:
    return Publication(ALERTS if once else DRIFT, "m", subject, b"{}", content, once)


def headers(
    content: str, *, subject: str = "w", source: str = "/atalaia/drift", generation: int = 0
) -> dict[str, bytes]:
    return {
        SOURCE: source.encode(),
        SUBJECT: subject.encode(),
        CONTENT: content.encode(),
        GENERATION: str(generation).encode(),
    }


def test_the_last_word_on_a_subject_counts() -> None:
    history = History()
    history.read("drift", "drift", [headers("a"), headers("b"), headers("c", subject="v")])
    assert not history.is_news(publication("b"))
    assert history.is_news(publication("a"))
    assert history.is_news(publication("b", subject="v"))


def test_what_is_said_once_is_never_said_again() -> None:
    history = History()
    history.read("drift", "alerts", [headers("fires"), headers("is over")])
    assert not history.is_news(publication("fires", once=True))
    assert history.is_news(publication("fires", once=True, subject="another"))


def test_messages_of_others_say_nothing_of_ones_own() -> None:
    history = History()
    history.read("drift", "alerts", [headers("fires", source="/atalaia/fairness", generation=7), {}])
    assert history.is_news(publication("fires", once=True))
    assert history.generation == -1


def test_the_latest_generation_is_known() -> None:
    history = History()
    history.read("drift", "drift", [headers("a", generation=3), headers("b", generation=2)])
    assert history.generation == 3
