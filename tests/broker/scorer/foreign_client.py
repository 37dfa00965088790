"""A client that writes header names as raw bytes, as those of other languages may; ours cannot."""

import ctypes
import ctypes.util
from pathlib import Path

import confluent_kafka

_TOPIC, _PARTITION, _VALUE, _KEY, _MSGFLAGS, _HEADER, _END = 1, 3, 4, 5, 7, 9, 0
_COPY = 0x2
_PRODUCER = 0


def write_with_header(
    servers: str, topic: str, *, partition: int, key: bytes, value: bytes, header: bytes
) -> None:
    """Produce one message with one header of that very name, and wait for its acknowledgement."""
    library = _librdkafka()
    error = ctypes.create_string_buffer(512)
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(settings, b"bootstrap.servers", servers.encode(), error, 512)
    client = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, settings, error, 512))
    assert client.value, error.value
    number, size = ctypes.c_int, ctypes.c_size_t
    failed = library.rd_kafka_producev(
        client,
        number(_TOPIC),
        ctypes.c_char_p(topic.encode()),
        number(_PARTITION),
        ctypes.c_int32(partition),
        number(_MSGFLAGS),
        number(_COPY),
        number(_VALUE),
        ctypes.c_char_p(value),
        size(len(value)),
        number(_KEY),
        ctypes.c_char_p(key),
        size(len(key)),
        number(_HEADER),
        ctypes.c_char_p(header),
        ctypes.c_char_p(b"value"),
        ctypes.c_ssize_t(5),
        number(_END),
    )
    assert failed == 0
    assert library.rd_kafka_flush(client, number(10_000)) == 0
    library.rd_kafka_destroy(client)


def _librdkafka() -> ctypes.CDLL:
    bundled = list(Path(confluent_kafka.__file__).parent.parent.glob("confluent_kafka.libs/librdkafka*"))
    path = str(bundled[0]) if bundled else ctypes.util.find_library("rdkafka")
    library = ctypes.CDLL(path)
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = ctypes.c_void_p
    return library
