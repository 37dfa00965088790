"""What was published against what was recomputed: whole numbers to the last one, floats to 1e-9."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

TOLERANCE = 1e-9


class Mismatch(NamedTuple):
    """A figure that differs, by its path within the result."""

    path: str
    published: Any
    recomputed: Any


class Within(NamedTuple):
    """A figure that may be off by a stated bound, as one that was binned."""

    value: float
    bound: float


def mismatches(published: Any, recomputed: Any, path: str = "") -> Iterator[Mismatch]:
    """Where what was published differs from what was recomputed, which may leave members out.

    >>> [mismatch.path for mismatch in mismatches({"n": 3, "p": 0.1, "x": 1}, {"n": 4, "p": 0.1})]
    ['n']
    """
    if isinstance(recomputed, Mapping):
        yield from _of_mapping(published, recomputed, path)
    elif isinstance(recomputed, Sequence) and not isinstance(recomputed, str | Within):
        yield from _of_sequence(published, recomputed, path)
    elif not _same(published, recomputed):
        shown = recomputed.value if isinstance(recomputed, Within) else recomputed
        yield Mismatch(path, published, shown)


def _of_mapping(published: Any, recomputed: Mapping[str, Any], path: str) -> Iterator[Mismatch]:
    if not isinstance(published, Mapping):
        yield Mismatch(path, published, dict(recomputed))
        return
    for name, value in recomputed.items():
        yield from mismatches(published.get(name), value, f"{path}.{name}" if path else name)


def _of_sequence(published: Any, recomputed: Sequence[Any], path: str) -> Iterator[Mismatch]:
    if not isinstance(published, Sequence) or isinstance(published, str):
        yield Mismatch(path, published, list(recomputed))
        return
    if len(published) != len(recomputed):
        yield Mismatch(f"{path}.length", len(published), len(recomputed))
        return
    for place, (one, other) in enumerate(zip(published, recomputed, strict=True)):
        yield from mismatches(one, other, f"{path}[{place}]")


def _same(published: Any, recomputed: Any) -> bool:
    if isinstance(recomputed, Within):
        return _number(published) and abs(published - recomputed.value) <= recomputed.bound + TOLERANCE
    if isinstance(recomputed, float) and _number(published):
        return math.isclose(published, recomputed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(recomputed, bool) or isinstance(published, bool):
        return published is recomputed
    return bool(published == recomputed)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
