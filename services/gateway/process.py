"""One gateway process, until SIGTERM."""

import asyncio
import sys

import structlog
import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp

from atalaia.errors import SettingsError
from atalaia.settings import GatewaySettings, Settings
from services.gateway.access.origins import CrossOrigin
from services.gateway.gateway import Gateway
from services.gateway.http.app import create_app
from services.gateway.http.server import configure, serve
from services.gateway.http.shortcut import Shortcut
from services.gateway.http.sockets import bind
from services.gateway.requestlog import RequestLog

_log = structlog.get_logger()


def run(settings: Settings) -> int:
    """Serve; the status the process ends with."""
    try:
        gateway = Gateway(settings, RequestLog(sys.stdout.buffer))
    except SettingsError as error:
        _log.error("gateway cannot start", reason=str(error))
        return 2
    own = settings.gateway
    try:
        sockets = bind(own)
    except OSError as error:
        _log.error("gateway cannot listen", host=own.host, port=own.port, reason=str(error))
        return 1
    app = create_app(gateway)
    server = configure(_in_front_of(app, own), own)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(gateway, server, sockets))
    return 0 if server.started else 1


def _in_front_of(app: FastAPI, settings: GatewaySettings) -> ASGIApp:
    shortcut = Shortcut(app, app.router.routes)
    return CrossOrigin(shortcut, settings.cors_origins) if settings.cors_origins else shortcut
