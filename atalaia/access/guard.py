"""Whose key was presented, and whether it may."""

import hmac
import math
from collections.abc import Callable, Iterable

from atalaia.access.buckets import TokenBucket
from atalaia.access.credentials import Credentials, presented_key
from atalaia.access.keys import Key, Scope, digest_of
from atalaia.access.refusals import expired, lacks, too_often, unknown_key

_REMEMBERED = 10_000
"""Headers of right keys; who has one can write it with as many spaces as he likes."""


class _Holder:
    """A key in use, with its bucket."""

    __slots__ = ("bucket", "expires_seconds", "key", "scopes")

    def __init__(self, key: Key, bucket: TokenBucket | None) -> None:
        self.key = key
        self.bucket = bucket
        self.scopes = frozenset(key.scopes)
        self.expires_seconds = math.inf if key.expires is None else key.expires.timestamp()


class Guard:
    """Lets a request in, or says why not.

    Keys are found by their hash, so what a lookup costs says nothing of any name or key. A header that was
    right is remembered as it came, and neither read nor hashed again; a wrong one never is.

    Parameters
    ----------
    keys : known for now; `replace` gives others
    wall_seconds : the time of day, since 1970, that keys expire by
    monotonic_seconds : a clock that never goes back, that rates are counted by
    """

    def __init__(
        self,
        keys: Iterable[Key],
        *,
        wall_seconds: Callable[[], float],
        monotonic_seconds: Callable[[], float],
    ) -> None:
        self._wall_seconds = wall_seconds
        self._monotonic_seconds = monotonic_seconds
        self._holders: dict[bytes, _Holder] = {}
        self._right: dict[tuple[bytes | None, bytes | None], _Holder] = {}
        self.replace(keys)

    def replace(self, keys: Iterable[Key]) -> None:
        """Know these keys and no others; one that was known before has spent what it spent."""
        holders: dict[bytes, _Holder] = {}
        for key in keys:
            before = self._holders.get(key.digest)
            bucket = None if before is None else before.bucket
            if bucket is None or bucket.rate != key.rate:
                rate = key.rate
                bucket = None if rate is None else TokenBucket(rate, now_seconds=self._monotonic_seconds())
            holders[key.digest] = _Holder(key, bucket)
        self._holders, self._right = holders, {}

    def admit(self, credentials: Credentials, needed: tuple[Scope, ...]) -> str:
        """The name of whoever asks, who has one of the scopes ``needed``.

        Raises
        ------
        Unauthorized, Forbidden, RateLimited
            in this order: a request that is not allowed takes nothing from the bucket.
        """
        holder = self._right.get(credentials[:2]) or self._found(credentials)
        key = holder.key
        if key.expires is not None and self._wall_seconds() >= holder.expires_seconds:
            raise expired(key.name, key.expires)
        if holder.scopes.isdisjoint(needed):
            raise lacks(key.name, key.scopes, needed)
        if holder.bucket is not None:
            wait_seconds = holder.bucket.take(self._monotonic_seconds())
            if wait_seconds:
                raise too_often(key.name, holder.bucket.rate, math.ceil(wait_seconds))
        return key.name

    def _found(self, credentials: Credentials) -> _Holder:
        digest = digest_of(presented_key(credentials))
        holder = self._holders.get(digest)
        if holder is None or not hmac.compare_digest(holder.key.digest, digest):
            raise unknown_key()
        if len(self._right) >= _REMEMBERED:
            self._right.clear()
        self._right[credentials[:2]] = holder
        return holder
