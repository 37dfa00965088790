"""Memory that was freed goes back to the system."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of glibc's ``mallopt``."""

_KEPT_BYTES = 262_144


def return_freed_memory() -> None:
    """Tell glibc to keep no more than a little of what is freed; call it before any thread is started.

    Left alone, malloc raises its own thresholds as batches come and go and gives every thread an arena; the
    process then holds half as much again as it uses. Elsewhere than on glibc nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
