"""Where a gateway process listens: at an address of its own, or at one it shares."""

import socket
from typing import NamedTuple

from atalaia.settings import GatewaySettings

_LOOPBACK = "127.0.0.1"


class Sockets(NamedTuple):
    """Bound, not listening yet: ``own`` is this process's alone, ``shared`` is not."""

    own: socket.socket
    shared: socket.socket


def bind(settings: GatewaySettings) -> Sockets | None:
    """The sockets of a process that shares its port; None leaves a port that is nobody else's to the server.

    The kernel spreads new connections over the processes that listen at a shared port. A probe has to reach
    one certain process, so each has a port of its own beside.

    Raises
    ------
    OSError
        where another program listens there.
    """
    if settings.processes == 1 or not settings.probe_port:
        return None
    shared = _bound(settings.host, settings.port, shared=True)
    return Sockets(_bound(_LOOPBACK, settings.probe_port, shared=False), shared)


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
