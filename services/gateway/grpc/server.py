"""The gateway over gRPC: listening as long as the gateway lives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from services.gateway.gateway import Gateway
from services.gateway.grpc.calls import PREFIX_BYTES
from services.gateway.grpc.http2.listener import Listener
from services.gateway.grpc.service import Service

_log = structlog.get_logger()


@asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[None]:
    """Answer calls where the settings say so; what is under way at the end is answered yet.

    Raises
    ------
    OSError
        where another program listens at the port.
    """
    settings = gateway.settings
    if not settings.grpc_port:
        yield
        return
    listener = Listener(
        Service(gateway).answer,
        max_body_bytes=settings.max_body_bytes + PREFIX_BYTES,
        max_streams=settings.max_in_flight,
    )
    place = {"host": settings.host, "port": settings.grpc_port}
    try:
        await listener.start(settings.host, settings.grpc_port, shared=settings.processes > 1)
    except OSError as error:
        _log.error("gateway cannot listen for gRPC", **place, reason=str(error))
        raise
    _log.info("listening for gRPC", **place)
    try:
        yield
    finally:
        await listener.stop(settings.drain)
