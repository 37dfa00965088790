"""Header blocks: read with the library hpack and remembered, written without compression."""

from collections.abc import Iterable

from hpack import Decoder, HPACKError
from hpack.table import HeaderTable

from services.gateway.grpc.http2.frames import Code, ConnectionEnd

Headers = tuple[tuple[bytes, bytes], ...]

MAX_HEADER_BYTES = 32_768
_REMEMBERED = 128
_MAX_REMEMBERED_BYTES = 1_024


class _Table(HeaderTable):
    """A dynamic table that says whether it is still as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        """Add an entry."""
        self.changes += 1
        super().add(name, value)


class HeaderReader:
    """Reads the header blocks of one connection, in their order.

    Calls of one client are alike, so their blocks are too: once its names and values are in the table, a
    block only points there. One that changed nothing means the same again until another changes the table.
    """

    def __init__(self) -> None:
        self._table = _Table()
        self._decoder = Decoder(max_header_list_size=MAX_HEADER_BYTES)
        self._decoder.header_table = self._table
        self._known: dict[bytes, Headers] = {}

    def read(self, block: bytes) -> Headers:
        """Names and values.

        Raises
        ------
        ConnectionEnd
            where it cannot be read: nothing after it could.
        """
        known = self._known.get(block)
        if known is not None:
            return known
        changes, size = self._table.changes, self._table.maxsize
        try:
            headers = tuple(
                (bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)
            )
        except HPACKError as error:
            raise ConnectionEnd(Code.COMPRESSION_ERROR, f"headers cannot be read: {error}") from error
        if self._table.changes != changes or self._table.maxsize != size:
            self._known.clear()
        elif len(block) <= _MAX_REMEMBERED_BYTES:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[block] = headers
        return headers


def write_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A block that any decoder reads whatever came before it.

    >>> write_headers([(b"grpc-status", b"0")])
    b'\\x00\\x0bgrpc-status\\x010'
    """
    parts: list[bytes] = []
    for name, value in headers:
        parts += (b"\x00", _length(len(name)), name, _length(len(value)), value)
    return b"".join(parts)


def _length(number: int) -> bytes:
    """A length as an integer of HPACK with a prefix of seven bits (RFC 7541, section 5.1)."""
    if number < 127:
        return bytes((number,))
    rest = number - 127
    written = bytearray((127,))
    while rest >= 128:
        written.append(rest % 128 + 128)
        rest //= 128
    written.append(rest)
    return bytes(written)
