"""Who may do what."""

import ipaddress

from atalaia.errors import Refusal
from atalaia.settings import GatewaySettings


class Forbidden(Refusal):
    """Not with what the request came with."""

    status, code, title = 403, "forbidden", "Not allowed"


def require_admin(settings: GatewaySettings) -> None:
    """Let pass who may change what others see of alerts: whoever can reach a gateway of this machine alone.

    Raises
    ------
    Forbidden
    """
    if not _is_loopback(settings.host):
        raise Forbidden(
            f"this gateway listens on {settings.host}, beyond this machine, and cannot tell who may change "
            "alerts; do it at one that listens on 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
