"""What a request brings to show whose it is."""

from typing import NamedTuple

from atalaia.access.refusals import no_key, unreadable

_BEARER = b"bearer "


class Credentials(NamedTuple):
    """The values of the headers ``Authorization``, ``X-API-Key`` and ``Origin``, None where absent."""

    authorization: bytes | None = None
    api_key: bytes | None = None
    origin: bytes | None = None


def presented_key(credentials: Credentials) -> bytes:
    """The key: of ``X-API-Key`` where there is one, else of ``Authorization: Bearer``.

    A proxy may use ``Authorization`` for itself, so with ``X-API-Key`` the other is not looked at.

    Raises
    ------
    Unauthorized
        where there is none, or it cannot be read.

    >>> presented_key(Credentials(authorization=b"Bearer atl_example"))
    b'atl_example'
    """
    if credentials.api_key:
        return credentials.api_key.strip()
    given = credentials.authorization
    if given is None:
        raise no_key()
    key = given[len(_BEARER) :].strip()
    if given[: len(_BEARER)].lower() != _BEARER or not key or b" " in key:
        raise unreadable()
    return key
