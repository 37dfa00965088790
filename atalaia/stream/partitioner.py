"""Where messages lie: at the partition of their key, or, where any will do, at that of their neighbours."""

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
STICKY_BYTES = 16_384


def murmur2(data: bytes) -> int:
    """32-bit MurmurHash2 as Kafka's Java client has it (seed 0x9747b28c), unsigned.

    Source: Austin Appleby, MurmurHash2; org.apache.kafka.common.utils.Utils.murmur2.

    >>> murmur2(b"21") == -973932308 & 0xFFFFFFFF
    True
    """
    length = len(data)
    h = 0x9747B28C ^ length
    for place in range(0, length - 3, 4):
        k = int.from_bytes(data[place : place + 4], "little") * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    tail = data[length & ~3 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: str, partitions: int) -> int:
    """The partition of ``key`` among ``partitions``.

    >>> partition_of("wine", 4) in range(4)
    True
    """
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


class StickyPartition:
    """The partition of messages that may lie on any: the same for many in a row, so that they leave together.

    A batch is of one partition. Spread by their keys, messages that come at the same time would leave in as
    many batches as there are partitions. Source: KIP-794, Strictly Uniform Sticky Partitioner.

    Parameters
    ----------
    partitions : how many there are
    first : where to begin
    batch_bytes : after how many the next partition's turn comes

    >>> sticky = StickyPartition(3, batch_bytes=100)
    >>> [sticky.take(40) for _ in range(8)]
    [0, 0, 0, 1, 1, 1, 2, 2]
    """

    def __init__(self, partitions: int, *, first: int = 0, batch_bytes: int = STICKY_BYTES) -> None:
        self._partitions = partitions
        self._partition = first
        self._batch_bytes = batch_bytes
        self._taken_bytes = 0

    def take(self, size: int) -> int:
        """The partition of the next message, of ``size`` bytes."""
        if self._taken_bytes >= self._batch_bytes:
            self._taken_bytes = 0
            self._partition = (self._partition + 1) % self._partitions
        self._taken_bytes += size
        return self._partition
