"""What goes wrong with fenced state, each named for what the worker does about it."""

from atalaia.errors import AtalaiaError


class ResendStepOrExit(AtalaiaError):
    """Whether the step was applied is not known: send the very same step once more, or exit."""


class ExitAndReload(AtalaiaError):
    """What the worker holds is no longer what is stored: it exits, and its successor loads."""


class RetryRead(AtalaiaError):
    """Redis did not answer a read, which changed nothing: read again, or exit."""


class UnsafeRedis(AtalaiaError):
    """This Redis may drop or mix what it is given; the message says which setting to change."""
