"""Metrics and health over HTTP for services that have no HTTP of their own."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from atalaia.errors import PortTaken


class Endpoint:
    """A server of ``/metrics``, ``/healthz`` and ``/readyz`` in a thread of its own.

    Parameters
    ----------
    port : 0 takes a free one, which `port` then names
    ready, live : asked on every ``/readyz`` and ``/healthz``, from the server's threads
    setting : which one chooses another port
    """

    def __init__(
        self, host: str, port: int, ready: Callable[[], bool], *, live: Callable[[], bool], setting: str
    ) -> None:
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(ready, live))
        except OSError as error:
            raise PortTaken(
                f"metrics cannot be shown at {host}:{port} ({error.strerror}); "
                f"choose another port with {setting}"
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(
    host: str,
    port: int,
    ready: Callable[[], bool],
    *,
    live: Callable[[], bool] = lambda: True,
    setting: str = "ATALAIA_SCORER__METRICS_PORT",
) -> Endpoint:
    """Serve metrics and health until the endpoint returned is closed.

    Raises
    ------
    PortTaken
        where another process listens on the port.
    """
    return Endpoint(host, port, ready, live=live, setting=setting)


def _handler(ready: Callable[[], bool], live: Callable[[], bool]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            elif path == "/healthz":
                self._tell(b"live", live())
            elif path == "/readyz":
                self._tell(b"ready", ready())
            else:
                self._answer(404, "text/plain; charset=utf-8", b"/metrics, /healthz and /readyz are here\n")

        def _tell(self, what: bytes, state: bool) -> None:
            body = b'{"%s":%s}' % (what, b"true" if state else b"false")
            self._answer(200 if state else 503, "application/json", body)

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing: probes come every few seconds."""

    return Handler
