"""What a service's topics say already: for a worker that makes its state anew."""

from collections.abc import Iterable, Mapping

from atalaia.monitors.units import Publication
from atalaia.worker.outgoing import CONTENT, GENERATION, SOURCE, SUBJECT, source_of


class History:
    """The contents a service has published, by topic and subject, and their greatest generation.

    >>> History().generation
    -1
    """

    def __init__(self) -> None:
        self.generation = -1
        self._latest: dict[tuple[str, str], str] = {}
        self._every: set[tuple[str, str, str]] = set()

    def add(self, topic: str, subject: str, content: str, generation: int) -> None:
        """A message, in log order."""
        self._latest[topic, subject] = content
        self._every.add((topic, subject, content))
        self.generation = max(self.generation, generation)

    def is_news(self, publication: Publication) -> bool:
        """Whether the topic does not say so: at all for what is said once, last for anything else."""
        topic, subject, content = publication.topic.name, publication.subject, publication.content
        if publication.once:
            return (topic, subject, content) not in self._every
        return self._latest.get((topic, subject)) != content

    def read(self, service: str, topic: str, messages: Iterable[Mapping[str, bytes]]) -> None:
        """Add the headers of messages of a topic, as far as they are the service's own."""
        source = source_of(service).encode()
        for headers in messages:
            if headers.get(SOURCE) == source and headers.keys() >= {SUBJECT, CONTENT, GENERATION}:
                subject, content = headers[SUBJECT].decode(), headers[CONTENT].decode()
                self.add(topic, subject, content, int(headers[GENERATION]))
