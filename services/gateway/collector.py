"""Python's cyclic garbage collector, told what is not worth walking."""

import gc

YOUNG = 20_000
"""Containers made before the youngest are looked through; Python's own 700 comes round every few requests."""


def tame() -> None:
    """Leave alone what is there now, modules and models, and look through the rest less often.

    Left as it is, the collector takes a seventh of a busy gateway's time, nearly all of it on what lives as
    long as the process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
