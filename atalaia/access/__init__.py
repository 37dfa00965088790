"""Who may ask what: API keys, what each may do and how often.

Pure: bytes of headers and times in, a principal's name or a `Refusal` out.
"""

from atalaia.access.buckets import TokenBucket
from atalaia.access.credentials import Credentials, presented_key
from atalaia.access.guard import Guard
from atalaia.access.keyfile import read_keys, write_keys
from atalaia.access.keys import SCOPES, Key, Scope, digest_of, new_key
from atalaia.access.refusals import AccessRefusal, Forbidden, RateLimited, Unauthorized

__all__ = [
    "SCOPES",
    "AccessRefusal",
    "Credentials",
    "Forbidden",
    "Guard",
    "Key",
    "RateLimited",
    "Scope",
    "TokenBucket",
    "Unauthorized",
    "digest_of",
    "new_key",
    "presented_key",
    "read_keys",
    "write_keys",
]
