"""uvicorn under our own rules of stopping."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from atalaia.settings import GatewaySettings
from services.gateway.gateway import Gateway

_log = structlog.get_logger()
_NOTICE_SECONDS = 0.3
"""How long a stopping gateway says so on ``/readyz`` before it stops listening."""


class Server(uvicorn.Server):
    """Stops in three steps: not ready any more, then deaf to new connections, then gone with status 0.

    uvicorn itself raises the signal again at the end, which would make every stop look like a kill.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield


async def serve(gateway: Gateway, server: Server, sockets: list[socket.socket] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends it at once. Without sockets it makes its own."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if gateway.draining:
            server.force_exit = True
            server.should_exit = True
            return
        gateway.draining = True
        _log.info("stopping", in_flight=gateway.exchange.in_flight)
        loop.call_later(_NOTICE_SECONDS, _stop_listening)

    def _stop_listening() -> None:
        server.should_exit = True

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    await server.serve(sockets)


def configure(app: ASGIApp, settings: GatewaySettings) -> Server:
    """One process on an event loop of libuv's, with httptools; no access log, the request log says more."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(round(settings.drain), 1),
    )
    return Server(config)
