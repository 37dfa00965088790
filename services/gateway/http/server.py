"""uvicorn under our own rules of stopping."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from atalaia.settings import GatewaySettings
from services.gateway.gateway import Gateway
from services.gateway.http.sockets import Sockets

_log = structlog.get_logger()
_NOTICE_SECONDS = 0.3
"""How long a stopping gateway says so on ``/readyz`` before it stops listening."""
_LOOK_SECONDS = 0.05


class Server(uvicorn.Server):
    """Stops in three steps: not ready any more, then deaf to new connections, then gone with status 0.

    uvicorn itself raises the signal again at the end, which would make every stop look like a kill.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield

    async def listen(self, more: socket.socket) -> None:
        """Take connections at a further socket, as at those it was started with."""

        def protocol() -> asyncio.Protocol:
            kind = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
            return kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(protocol, sock=more, backlog=self.config.backlog))


async def serve(gateway: Gateway, server: Server, sockets: Sockets | None = None) -> None:
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
    if sockets is None:
        await server.serve()
        return
    gateway.listening = False
    joining = asyncio.create_task(_join(gateway, server, sockets.shared))
    await server.serve([sockets.own])
    joining.cancel()
    sockets.shared.close()


async def _join(gateway: Gateway, server: Server, shared: socket.socket) -> None:
    """Take connections at the shared port once they can be answered: until then the other processes do."""
    while not server.should_exit:
        if server.started and gateway.able:
            await server.listen(shared)
            gateway.listening = True
            return
        await asyncio.sleep(_LOOK_SECONDS)


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
