"""What every result says of itself."""

import msgspec

from atalaia.bundles.manifest import Name
from atalaia.records import Role, Time


class ResultWindow(msgspec.Struct, frozen=True):
    """Event time from ``start`` up to, not including, ``end``."""

    start: Time
    end: Time


class Cut(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a result is a function of: everything before these positions of the model's partition.

    Of two revisions the later one has the greater (generation, observations, labels); ``generation`` grows
    whenever the state was made anew. ``labels`` is None where they take no part.
    """

    generation: int
    observations: int
    labels: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A result of one window; (model, version, role, window) is unique but for its revisions.

    ``provisional`` ones may change by rows or labels that are still expected. ``bundle`` and
    ``configuration`` are digests of what the model and its monitors were. ``incomplete`` says that part of
    what the window is made of had expired before it was read.
    """

    model: Name
    version: Name
    role: Role
    window: ResultWindow
    revision: int
    provisional: bool
    cut: Cut
    bundle: str
    configuration: str
    incomplete: bool = False
