"""River objects as JSON and back, exactly, without pickle.

Only values travel. On the way back a fresh object, made by our own code from our own parameters, says which
attributes there are and of which kind; whatever else a snapshot names is refused.
"""

import base64
import binascii
import hashlib
import inspect
import json
import math
import struct
from typing import Any

FORMAT = 1


class SnapshotRefused(ValueError):
    """A snapshot that is damaged, or of something else; rebuild the state from the log."""


def pack(content: dict[str, Any]) -> bytes:
    """JSON with a version and a SHA-256 digest of all the rest."""
    body = {"format": FORMAT, **content}
    return _canonical({**body, "digest": _digest(body)})


def unpack(snapshot: bytes) -> dict[str, Any]:
    """What `pack` was given.

    Raises
    ------
    SnapshotRefused
        when it is no JSON object, of another format, or does not hash to its digest.

    >>> unpack(pack({"rows": 3}))["rows"]
    3
    """
    try:
        body = json.loads(snapshot)
    except ValueError as error:
        raise SnapshotRefused(
            f"the snapshot is not JSON ({error}); rebuild the state from the log"
        ) from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise SnapshotRefused(f"the snapshot is not of format {FORMAT}; rebuild the state from the log")
    digest = body.pop("digest", None)
    if digest != _digest(body):
        raise SnapshotRefused("the snapshot does not hash to its digest; rebuild the state from the log")
    return body


def state_of(thing: object) -> dict[str, Any]:
    """The attributes of an object of river, nested, as JSON: numbers, strings, and bytes of native parts."""
    state: dict[str, Any] = {}
    for name, value in vars(thing).items():
        if not callable(value):
            state[name] = _value_of(value)
    return state


def restore(thing: object, state: object, path: str = "state") -> None:
    """Give a fresh object the attributes that `state_of` took from one made by the same parameters.

    Raises
    ------
    SnapshotRefused
        when an attribute is missing, unknown, or of a kind that the fresh object does not have.
    """
    own = {name: value for name, value in vars(thing).items() if not callable(value)}
    if not isinstance(state, dict) or state.keys() != own.keys():
        raise SnapshotRefused(f"{path} does not hold what {type(thing).__name__} needs: {sorted(own)}")
    parameters = inspect.signature(type(thing)).parameters
    for name, value in own.items():
        where = f"{path}.{name}"
        if name in parameters:
            if type(state[name]) is not type(value) or state[name] != value:
                raise SnapshotRefused(f"{where} is {state[name]!r}, expected {value!r}")
        elif _native(value):
            _restore_native(value, state[name], where)
        elif hasattr(value, "__dict__"):
            restore(value, state[name], where)
        else:
            setattr(thing, name, _scalar(state[name], value, where))


def _value_of(value: Any) -> Any:
    if _native(value) and type(value).__name__ in _NATIVE:
        return base64.b64encode(value.__getstate__()).decode()
    if hasattr(value, "__dict__"):
        return state_of(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"{type(value).__name__} has no form in a snapshot; expected numbers and strings")


def _native(value: object) -> bool:
    """Whether it is one of river's objects in Rust, whose state is bytes."""
    return type(value).__module__.startswith("river._river_rust")


def _restore_native(value: Any, state: object, where: str) -> None:
    try:
        content = base64.b64decode(state if isinstance(state, str) else "", validate=True)
    except binascii.Error as error:
        raise SnapshotRefused(f"{where} is not base64") from error
    # River's native parts panic on bytes that do not fit, now or at a later row: those never reach them.
    if not _NATIVE[type(value).__name__](content, value.__getstate__()):
        raise SnapshotRefused(f"{where} is no state of {type(value).__name__} with these parameters")
    value.__setstate__(content)
    if value.__getstate__() != content:
        raise SnapshotRefused(f"{where} does not come back as it went")


def _fits_ewmean(content: bytes, fresh: bytes) -> bool:
    """Mean f64, two weights f64, whether a value came, and the constructor's argument."""
    flags = (b"\0", b"\1")
    same = len(content) == len(fresh) and content[8:24] == fresh[8:24] and content[25:] == fresh[25:]
    return same and content[24:25] in flags


_ADWIN_PARAMETERS = 36
_ADWIN_ARGUMENTS = 28
_ADWIN_SCALARS = struct.Struct("<4d4iQ")


def _fits_adwin(content: bytes, fresh: bytes) -> bool:
    """Parameters, sums, counters, the number of buckets, each with its sizes and two lists; arguments."""
    end = len(content) - _ADWIN_ARGUMENTS
    place = _ADWIN_PARAMETERS + _ADWIN_SCALARS.size
    if end < place or content[:_ADWIN_PARAMETERS] != fresh[:_ADWIN_PARAMETERS]:
        return False
    if content[end:] != fresh[-_ADWIN_ARGUMENTS:]:
        return False
    *_, buckets = _ADWIN_SCALARS.unpack_from(content, _ADWIN_PARAMETERS)
    (most,) = struct.unpack_from("<Q", fresh, place)
    size = 16 + 2 * (8 + 8 * (most + 1))
    if not 1 <= buckets <= _MOST_BUCKETS or place + buckets * size != end:
        return False
    for start in range(place, end, size):
        most_here, filled, totals = struct.unpack_from("<3Q", content, start)
        (variances,) = struct.unpack_from("<Q", content, start + 24 + 8 * (most + 1))
        if most_here != most or filled > most or totals != most + 1 or variances != most + 1:
            return False
    return True


_MOST_BUCKETS = 63
"""The last holds summaries of 2^62 rows each."""
_NATIVE = {"AdaptiveWindowing": _fits_adwin, "RsEWMean": _fits_ewmean}
"""Whether bytes are a state of a native part, given those of a fresh one with the same parameters."""


def _scalar(value: Any, own: object, where: str) -> Any:
    if isinstance(value, dict):
        value = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}.get(str(value.get("float")))
    number = type(own) in (int, float)
    fits = type(value) is type(own) or (type(value) in (int, float) and (number or own is None))
    if not fits:
        raise SnapshotRefused(f"{where} is {value!r}, expected something like {own!r}")
    return value


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
