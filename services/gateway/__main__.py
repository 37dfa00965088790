"""``python -m services.gateway``: one gateway process, until SIGTERM."""

import asyncio
import sys

import structlog
import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp

from atalaia import settings as all_settings
from atalaia.errors import SettingsError
from atalaia.settings import GatewaySettings
from atalaia.telemetry import logs
from services.gateway.access.origins import CrossOrigin
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
    server = configure(_in_front_of(app, settings.gateway), settings.gateway)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(gateway, server))
    return 0 if server.started else 1


def _in_front_of(app: FastAPI, settings: GatewaySettings) -> ASGIApp:
    shortcut = Shortcut(app, app.router.routes)
    return CrossOrigin(shortcut, settings.cors_origins) if settings.cors_origins else shortcut


if __name__ == "__main__":
    sys.exit(main())
