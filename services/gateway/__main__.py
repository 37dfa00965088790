"""``python -m services.gateway``: one gateway process, until SIGTERM."""

import asyncio
import sys

import structlog
import uvloop

from atalaia import settings as all_settings
from atalaia.errors import SettingsError
from atalaia.telemetry import logs
from services.gateway.app import create_app
from services.gateway.gateway import Gateway
from services.gateway.requestlog import RequestLog
from services.gateway.server import configure, serve
from services.gateway.shortcut import Shortcut

_log = structlog.get_logger()


def main() -> int:
    """Run the gateway; the status it ends with."""
    logs.configure("gateway")
    try:
        settings = all_settings.load()
        gateway = Gateway(settings, RequestLog(sys.stdout.buffer))
    except SettingsError as error:
        _log.error("gateway cannot start", reason=str(error))
        return 2
    app = create_app(gateway)
    server = configure(Shortcut(app, app.router.routes), settings.gateway)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(gateway, server))
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
