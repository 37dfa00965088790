"""The limit beside the scorer: consume requests and produce the same bytes, nothing else.

Run as ``python -m bench.passthrough TOPIC MESSAGES START...``; prints rows and CPU seconds as JSON.
"""

import json
import sys
import time

from confluent_kafka import TopicPartition

from atalaia.settings import load
from atalaia.stream.clients import consumer, producer

BATCH = 2_000


def main(topic: str, messages: int, starts: list[int]) -> None:
    """Pass ``messages`` from ``requests`` on to ``topic``, from the given offset of each partition."""
    kafka = load().kafka
    source = consumer(kafka, **{"group.id": "passthrough"})
    sink = producer(kafka, **{"linger.ms": 5, "queue.buffering.max.messages": 500_000})
    requests = f"{kafka.topic_prefix}requests"
    cpu, wall = time.process_time(), time.perf_counter()
    source.assign([TopicPartition(requests, partition, start) for partition, start in enumerate(starts)])
    passed = 0
    while passed < messages:
        for message in source.consume(BATCH, 0.1):
            sink.produce(topic, value=message.value(), key=message.key())
            passed += 1
        sink.poll(0)
    sink.flush()
    figures = {
        "rows": passed,
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - wall,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), [int(text) for text in sys.argv[3:]])
