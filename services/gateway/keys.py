"""Keys that nobody guesses."""

import os
from collections.abc import Iterator

_AT_ONCE = 128
"""The system is asked for so many at once: for each alone it would cost more than all the rest."""


def _random_keys() -> Iterator[str]:
    while True:
        digits = os.urandom(16 * _AT_ONCE).hex()
        for place in range(0, len(digits), 32):
            yield digits[place : place + 32]


_keys = _random_keys()


def new_key() -> str:
    """32 hexadecimal digits, no two alike.

    >>> len(new_key()), new_key() == new_key()
    (32, False)
    """
    return next(_keys)
