"""Errors that wait: however they are chunked, stored and restored, they come back in order, each once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.monitors.truth.entries import CHUNK, ErrorEntries


@given(st.lists(st.integers(1, 3 * CHUNK), min_size=1, max_size=6), st.booleans(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_last_error_of_each_row_comes_back_in_the_order_of_time(
    sizes: list[int], binary: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    entries, stored = ErrorEntries(b"e/", binary=binary), dict[bytes, bytes]()
    times = rng.integers(0, 600_000, 10_000)
    last: dict[int, float] = {}
    for size in sizes:
        rows = rng.choice(len(times), min(size, len(times)), replace=False)
        errors = (rng.random(len(rows)) < 0.3).astype(np.float64) if binary else rng.random(len(rows))
        entries.add(7_000, times[rows], rows, errors)
        last.update(zip(rows.tolist(), errors.tolist(), strict=True))
        if rng.random() < 0.5:
            stored |= entries.writes()
            for name in entries.deletes():
                stored.pop(name, None)
            entries = ErrorEntries(b"e/", binary=binary)
            entries.restore(stored)
    found, errors = entries.pop(7_000)
    order = sorted(last, key=lambda row: (times[row], row))
    assert found.tolist() == [7_000 + times[row] for row in order]
    assert errors.tolist() == [last[row] for row in order]
    stored |= entries.writes()
    assert set(entries.deletes()) >= stored.keys()
