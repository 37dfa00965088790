"""The sinks there are: a file and a line here each."""

import time
from collections.abc import Callable

from atalaia.settings import AlertsServiceSettings
from services.alerts.posting import Endpoint
from services.alerts.sinks.alertmanager import PATH, AlertmanagerSink
from services.alerts.sinks.base import Sink
from services.alerts.sinks.log import LogSink
from services.alerts.sinks.webhook import WebhookSink

Make = Callable[[AlertsServiceSettings], Sink | None]
"""A sink as the settings have it, None where they have none."""


def _log(settings: AlertsServiceSettings) -> Sink | None:
    return LogSink() if settings.log else None


def _webhook(settings: AlertsServiceSettings) -> Sink | None:
    if settings.webhook_url is None:
        return None
    timeout_seconds = settings.sink_timeout
    setting = "ATALAIA_ALERTS__WEBHOOK_URL"
    return WebhookSink(Endpoint(settings.webhook_url, timeout_seconds=timeout_seconds, setting=setting))


def _alertmanager(settings: AlertsServiceSettings) -> Sink | None:
    if settings.alertmanager_url is None:
        return None
    endpoint = Endpoint(
        settings.alertmanager_url.rstrip("/") + PATH,
        timeout_seconds=settings.sink_timeout,
        setting="ATALAIA_ALERTS__ALERTMANAGER_URL",
    )
    return AlertmanagerSink(endpoint, repeat_seconds=settings.repeat_interval, now=time.monotonic)


SINKS: dict[str, Make] = {
    LogSink.name: _log,
    WebhookSink.name: _webhook,
    AlertmanagerSink.name: _alertmanager,
}


def make_sinks(settings: AlertsServiceSettings) -> list[Sink]:
    """Those the settings ask for.

    Raises
    ------
    SettingsError
        where a URL is none.
    """
    made = [make(settings) for make in SINKS.values()]
    return [sink for sink in made if sink is not None]
