"""Panes as bytes: vectors of whole numbers, most of them small or zero, quick both ways."""

import zlib

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

BLOCK = 128
"""Numbers that share a width: a column of few, frequent values does not widen one of many, rare ones."""
_PLAIN, _COMPRESSED = b"\1", b"\2"
_WIDTHS: tuple[tuple[int, np.dtype[np.generic]], ...] = (
    (1, np.dtype("u1")),
    (2, np.dtype("<u2")),
    (3, np.dtype("<u4")),
    (4, np.dtype("<u8")),
)
_LEAST = np.array([1, 1 << 8, 1 << 16, 1 << 32], np.uint64)


def encode_counts(counts: IntArray, *, compress: bool = False) -> bytes:
    """Whole numbers (k,) as bytes; blocks of zeros take one byte, the others as few as their largest needs.

    ``compress`` what is no longer being filled: about half the bytes for ten times the work.

    >>> len(encode_counts(np.zeros(12_800, np.int64))), len(encode_counts(np.full(12_800, 300)))
    (109, 25709)
    >>> decode_counts(encode_counts(np.array([0, -3, 70_000]), compress=True)).tolist()
    [0, -3, 70000]
    """
    length = len(counts)
    signed = bool(length) and int(counts.min()) < 0
    counts = np.ascontiguousarray(counts, np.int64)
    numbers = (counts << 1) ^ (counts >> 63) if signed else counts
    blocks = np.zeros((-(-length // BLOCK), BLOCK), np.uint64)
    blocks.reshape(-1)[:length] = numbers.view(np.uint64)
    widths = np.searchsorted(_LEAST, blocks.max(axis=1), "right").astype(np.uint8)
    parts = [length.to_bytes(7, "little"), bytes([signed]), widths.tobytes()]
    parts += [blocks[widths == code].astype(dtype).tobytes() for code, dtype in _WIDTHS]
    body = b"".join(parts)
    return _COMPRESSED + zlib.compress(body, 1) if compress else _PLAIN + body


def decode_counts(data: bytes) -> IntArray:
    """The numbers (k,) of `encode_counts`, in an array of one's own.

    Raises
    ------
    ValueError
        for bytes that are no such vector.
    """
    if data[:1] not in (_PLAIN, _COMPRESSED):
        raise ValueError(f"a pane begins with {data[:1]!r}, expected {_PLAIN!r} or {_COMPRESSED!r}")
    try:
        body = zlib.decompress(data[1:]) if data[:1] == _COMPRESSED else data[1:]
    except zlib.error as error:
        raise ValueError(f"a pane cannot be decompressed ({error})") from error
    length = int.from_bytes(body[:7], "little")
    rows = -(-length // BLOCK)
    widths = np.frombuffer(body, np.uint8, rows, offset=8)
    blocks = np.zeros((rows, BLOCK), np.uint64)
    place = 8 + rows
    for code, dtype in _WIDTHS:
        filled = np.flatnonzero(widths == code)
        if len(filled):
            numbers = np.frombuffer(body, dtype, len(filled) * BLOCK, offset=place)
            blocks[filled] = numbers.reshape(-1, BLOCK)
            place += numbers.nbytes
    if place != len(body):
        raise ValueError(f"a pane of {len(body)} bytes, expected {place} for {length} numbers")
    numbers = blocks.reshape(-1)[:length].view(np.int64)
    if not body[7]:
        return numbers
    # Zigzag: the last bit is the sign.
    answer: IntArray = ((numbers.view(np.uint64) >> np.uint64(1)).view(np.int64)) ^ -(numbers & 1)
    return answer
