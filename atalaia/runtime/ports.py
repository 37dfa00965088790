"""TCP ports: free ones, and clear words about those that are taken."""

import errno
import random
import socket
import time
from pathlib import Path

from atalaia.errors import PortTaken, SettingsError

_LOWEST = 15_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given_out: set[int] = set()


def claim_port(port: int, *, setting: str, host: str = "127.0.0.1", patience_seconds: float = 1.0) -> int:
    """The port to listen on: `port` itself if it is free, a free one for 0.

    A port is free if one could listen on it now; connections of its past (TIME_WAIT) do not count. The
    patience is for a predecessor that is just ending.

    Raises
    ------
    PortTaken
        naming `setting`, the environment variable that moves it.
    """
    if port == 0:
        return free_port(host)
    deadline = time.monotonic() + patience_seconds
    while not is_free(port, host):
        if time.monotonic() >= deadline:
            raise PortTaken(
                f"port {port} on {host} is in use by another process. "
                f"Stop that process, or give another port with {setting} (0 chooses a free one)."
            )
        time.sleep(0.1)
    return port


def free_port(host: str = "127.0.0.1") -> int:
    """A free port below those the kernel gives to outgoing connections, never the same one twice.

    Not one of the kernel's own choice: while the server behind it restarts, an outgoing connection could take
    it, even a client's to itself, and the server could not come back.
    """
    highest = _lowest_ephemeral() - 1
    for _ in range(1_000):
        port = random.randint(_LOWEST, highest)  # noqa: S311 - no secret
        if port not in _given_out and is_free(port, host):
            _given_out.add(port)
            return port
    raise PortTaken(f"no free port found on {host} between {_LOWEST} and {highest}")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now.

    Raises
    ------
    SettingsError
        when the host is no address of this machine, or the port needs privileges.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise SettingsError(
                f"cannot listen on {host}:{port}: {error.strerror or error}. "
                "Give an address of this machine and a port above 1023."
            ) from error
    return True


def _lowest_ephemeral() -> int:
    try:
        lowest = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768
    return lowest if lowest > _LOWEST + 1_000 else 65_536
