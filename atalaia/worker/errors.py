"""Why a worker ends although Redis and Kafka answer; whoever starts it again mends it."""

from atalaia.errors import AtalaiaError


class RecordsSkipped(AtalaiaError):
    """Records that the log holds were not delivered: exit, and read them again from the fence."""


class NotPublished(AtalaiaError):
    """Kafka refused what is in the outbox: exit, it is published again when the unit is opened."""
