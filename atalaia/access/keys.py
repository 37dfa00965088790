"""API keys: long random strings, of which only a hash is kept.

A key is 256 random bits. Nobody finds it from its SHA-256 by guessing, so a plain hash is as good as a slow
or salted one: those protect passwords, which people choose, and choose again elsewhere. And a plain hash can
be looked up: a key is found by its hash alone, without a name to ask for or a list to walk.
"""

import hashlib
import re
import secrets
from datetime import datetime
from typing import Literal, get_args

import msgspec

Scope = Literal["infer", "label", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""``infer`` asks for predictions and reads, ``label`` says what turned out to be true, ``admin`` changes what
others see: silences, acknowledgements, which version answers."""

PREFIX = "atl_"
"""In front of every key, so that people and scanners know one when they see it."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a key may be called."""

_BYTES = 32


class Key(msgspec.Struct, frozen=True):
    """What is known of a key: everything but the key.

    ``name`` is who asks, and several keys may share it, so that one takes over from another. ``rate`` is
    requests a second, None without a limit; ``expires`` None for never. Both times know their zone.
    """

    name: str
    digest: bytes
    scopes: tuple[Scope, ...]
    created: datetime
    rate: float | None = None
    expires: datetime | None = None

    @property
    def id(self) -> str:
        """What tells it from others of its name: the beginning of its hash."""
        return self.digest.hex()[:8]


def new_key() -> str:
    """A key that nobody has."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest_of(key: bytes) -> bytes:
    """What is kept of a key.

    >>> digest_of(b"atl_example").hex()[:8]
    'e1da5813'
    """
    return hashlib.sha256(key).digest()
