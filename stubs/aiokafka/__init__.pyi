from typing import Any

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.structs import TopicPartition

class AIOKafkaConsumer:
    _coordinator: GroupCoordinator
    _isolation_level: str
    _partition_assignment_strategy: list[type[Any]]
    _fetch_max_wait_ms: int

    def seek(self, partition: TopicPartition, offset: int) -> None: ...
