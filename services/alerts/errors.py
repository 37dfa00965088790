"""What a sink may meet."""

from atalaia.errors import AtalaiaError, Refusal


class NotDelivered(AtalaiaError):
    """One attempt came to nothing; ``again`` says whether another may not."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again


class Interrupted(AtalaiaError):
    """Waiting was ended from outside: whoever has the partition next delivers."""


class Undeliverable(Refusal):
    """An alert that a sink did not take, however often it was offered."""

    status, code, title = 502, "undeliverable", "A sink did not take an alert"


class NotAnEvent(Refusal):
    """A message of `alerts` that is no alert event."""

    status, code, title = 400, "not_readable", "Not an alert event"
