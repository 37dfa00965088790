class GroupCoordinator:
    _group_instance_id: str | None

    async def close(self) -> None: ...
