"""Where a gateway process listens: at an address of its own, or at one it shares."""

import socket

from atalaia.settings import GatewaySettings

_BACKLOG = 2_048
_LOOPBACK = "127.0.0.1"


def listen(settings: GatewaySettings) -> list[socket.socket] | None:
    """Sockets for the server; None leaves an address that is nobody else's to it.

    The kernel spreads new connections over the processes that listen at a shared port. A probe has to reach
    one certain process, so each has a port of its own beside.

    Raises
    ------
    OSError
        where another program listens there.
    """
    if settings.processes == 1 and not settings.probe_port:
        return None
    sockets = [_bound(settings.host, settings.port, shared=settings.processes > 1)]
    if settings.probe_port:
        sockets.append(_bound(_LOOPBACK, settings.probe_port, shared=False))
    return sockets


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=shared)
