"""The partition a key leads to, as Java clients, aiokafka and our librdkafka setting compute it."""

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


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
