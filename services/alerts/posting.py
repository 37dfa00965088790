"""JSON to an HTTP endpoint: one attempt, with a time limit."""

import http.client
from collections.abc import Mapping
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from atalaia.errors import SettingsError
from services.alerts.errors import NotDelivered

_AGAIN = {408, 425, 429}
"""Statuses below 500 that say: not now."""


class Endpoint:
    """Where to post.

    Only scheme and host are ever told: a path or a query may hold a secret.

    Parameters
    ----------
    url : of scheme http or https
    timeout_seconds : for connecting, and for every wait for an answer
    setting : the setting the URL comes from, named where it is wrong

    Raises
    ------
    SettingsError
        where the URL is none of HTTP.
    """

    def __init__(self, url: str, *, timeout_seconds: float, setting: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{setting} is no URL of http or https with a host")
        self.name = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._opener = build_opener(_NoRedirect())

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Post JSON; whatever status of 200 to 299 will do.

        Raises
        ------
        NotDelivered
        """
        request = Request(  # noqa: S310 - the scheme was checked
            self._url, body, {"Content-Type": "application/json", "User-Agent": "atalaia", **headers}
        )
        try:
            with self._opener.open(request, timeout=self._timeout_seconds):
                pass
        except HTTPError as error:
            with error:
                again = error.code >= 500 or error.code in _AGAIN
            raise NotDelivered(f"{self.name} answered {error.code}", again=again) from error
        except URLError as error:
            raise NotDelivered(f"{self.name} does not answer: {error.reason}", again=True) from error
        except (OSError, http.client.HTTPException) as error:
            raise NotDelivered(f"{self.name} does not answer: {error!r}", again=True) from error


class _NoRedirect(HTTPRedirectHandler):
    """A redirected post would become a get: it is a failure like any other status."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow none."""
