"""Vectors of counts survive their bytes, whatever numbers they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atalaia.monitors.panes import BLOCK, decode_counts, encode_counts

WHOLE = st.integers(-(2**63), 2**63 - 1)
SIZES = st.sampled_from([0, 1, 200, 2**8, 2**16 - 1, 2**16, 2**32, 2**62])


@given(
    st.lists(WHOLE | SIZES | st.integers(0, 3), max_size=3 * BLOCK),
    st.booleans(),
)
def test_numbers_come_back_as_they_were(numbers: list[int], compress: bool) -> None:
    counts = np.array(numbers, np.int64)
    assert decode_counts(encode_counts(counts, compress=compress)).tolist() == numbers


@given(st.integers(1, 3 * BLOCK), st.booleans())
def test_a_strided_view_is_encoded_as_what_it_shows(length: int, compress: bool) -> None:
    counts = np.arange(2 * length, dtype=np.int64)[::2]
    assert decode_counts(encode_counts(counts, compress=compress)).tolist() == counts.tolist()


@pytest.mark.parametrize("damage", [b"", b"\3abc", b"\2abc"])
def test_what_is_no_pane_is_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match="pane"):
        decode_counts(damage)


def test_a_pane_that_was_cut_short_is_refused() -> None:
    data = encode_counts(np.full(3 * BLOCK, 70_000))
    with pytest.raises(ValueError, match=r"buffer|pane"):
        decode_counts(data[:-4])
