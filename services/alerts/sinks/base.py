"""What a sink is."""

from collections.abc import Callable
from typing import Literal, Protocol

from atalaia.alerts import AlertEvent, ShownAlert

Taken = Literal["delivered", "silenced", "unneeded"]
"""What became of an event: handed on, kept back by a silence, or nothing this sink tells."""

Show = Callable[[AlertEvent], ShownAlert]
"""An alert under the silences and acknowledgements that hold now."""


class Sink(Protocol):
    """Hands alerts on to one place; used by one thread.

    ``name`` is that of its consumer group. With ``recalls_all`` it is shown all retained events before its
    position when it starts, else only the last ones.
    """

    name: str
    recalls_all: bool

    def recall(self, event: AlertEvent) -> None:
        """An event from before the position: it was taken in an earlier life."""

    def take(self, shown: ShownAlert) -> Taken:
        """Hand an event on, in one attempt; the same may be offered again after a failure.

        Raises
        ------
        NotDelivered
        """

    def repeat(self, show: Show) -> None:
        """Called now and then: say again what has to be said again.

        Raises
        ------
        NotDelivered
        """
