"""One request on its way through: what its log line and its metrics say, and what it gets when refused."""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from atalaia.access import Credentials
from atalaia.errors import FieldProblem, InvalidInput, Refusal, TooLarge
from atalaia.inference.binary import HEAD_LENGTH
from atalaia.telemetry import metrics
from services.gateway.access.needs import NEEDS, Needs
from services.gateway.gateway import Gateway
from services.gateway.inference.answers import Answer
from services.gateway.keys import new_key
from services.gateway.problems import Internal, respond

_log = structlog.get_logger()

CLIENT_GONE = 499
MAX_ID_CHARACTERS = 200
_CLIENT_ID, _PREFER, _IDEMPOTENCY_KEY = b"x-request-id", b"prefer", b"idempotency-key"
_AUTHORIZATION, _API_KEY, _ORIGIN = b"authorization", b"x-api-key", b"origin"
_HEAD_LENGTH = HEAD_LENGTH.lower().encode()
_HEADERS = frozenset({_CLIENT_ID, _PREFER, _IDEMPOTENCY_KEY, _AUTHORIZATION, _API_KEY, _ORIGIN, _HEAD_LENGTH})
Metric = TypeVar("Metric", Counter, Histogram)


class Later(Exception):
    """What ends a request early and is no refusal; ``response`` is what the caller gets."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class Call:
    """What is known of a request so far.

    ``key`` is its Kafka key, made here and never a client's. ``client_id`` is the header ``X-Request-Id``,
    ``request_id`` what the caller finds it by: the client's own id, else the key. ``principal`` is who asks:
    the name of the API key. ``credentials`` are let go once it is known.
    """

    __slots__ = (
        "abstained_rows",
        "applicability",
        "client_id",
        "code",
        "credentials",
        "head_length",
        "idempotency_key",
        "inputs",
        "key",
        "model",
        "predictions",
        "prefer",
        "principal",
        "request_bytes",
        "request_id",
        "route",
        "rows",
        "score",
        "started",
        "version",
    )

    def __init__(self, route: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.started = time.perf_counter()
        self.route = route
        self.key = new_key()
        given = {name: value for name, value in headers if name in _HEADERS}
        self.client_id: str | None = given.get(_CLIENT_ID, b"").decode("latin-1") or None
        self.prefer = given.get(_PREFER)
        self.idempotency_key = given.get(_IDEMPOTENCY_KEY)
        self.head_length = given.get(_HEAD_LENGTH)
        self.credentials: Credentials | None = Credentials(
            given.get(_AUTHORIZATION), given.get(_API_KEY), given.get(_ORIGIN)
        )
        self.principal = ""
        self.request_id = (self.client_id or self.key)[:MAX_ID_CHARACTERS]
        self.model = ""
        self.version = ""
        self.code: str | None = None
        self.rows: int | None = None
        self.request_bytes: int | None = None
        self.score: float | None = None
        self.applicability: float | None = None
        self.abstained_rows: int | None = None
        self.inputs: Any = None
        self.predictions: Any = None

    def admit(self, gateway: Gateway, needs: Needs) -> None:
        """Learn who asks, and refuse who may not.

        Raises
        ------
        AccessRefusal
        """
        credentials, self.credentials = self.credentials or Credentials(), None
        self.principal = gateway.door.admit(credentials, needs)

    def check_client_id(self) -> None:
        """Refuse an id that is no id.

        Raises
        ------
        InvalidInput
        """
        given = self.client_id
        if given is not None and (len(given) > MAX_ID_CHARACTERS or not given.isprintable()):
            expected = f"at most {MAX_ID_CHARACTERS} printable characters"
            raise InvalidInput([FieldProblem("X-Request-Id", "not an id", expected)])

    def take_key(self, key: str) -> None:
        """Go by another key: the one an answer is fetched by."""
        if self.request_id == self.key:
            self.request_id = key
        self.key = key

    def take(self, answer: Answer) -> None:
        """Note what was answered, by whom."""
        self.model, self.version = answer.model, answer.version
        self.abstained_rows = sum(answer.abstained)
        self.rows = len(answer.abstained)
        if self.rows == 1:
            self.score, self.applicability = answer.outputs["score"][0], answer.outputs["applicability"][0]

    def close(self, gateway: Gateway, status: int, response_bytes: int) -> None:
        """Leave the line in the log and count."""
        seconds = time.perf_counter() - self.started
        model, version = self.model, self.version
        metered(metrics.GATEWAY_REQUEST_SECONDS, self.route, str(status), model, version).observe(seconds)
        if self.code is not None:
            metered(metrics.GATEWAY_REFUSALS, self.code, model, version).inc()
        if self.request_bytes is not None:
            meters = _meters(model, version)
            meters.request_bytes.observe(self.request_bytes)
            meters.response_bytes.observe(response_bytes)
            if self.abstained_rows is not None:
                meters.rows.inc(self.rows or 0)
                if self.abstained_rows:
                    meters.abstained_rows.inc(self.abstained_rows)
        gateway.log.write(self._line(status, seconds))

    def _line(self, status: int, seconds: float) -> dict[str, Any]:
        single = self.rows == 1 and self.abstained_rows is not None
        line = {
            "route": self.route,
            "status": status,
            "latency_ms": round(seconds * 1000, 3),
            "model": self.model or None,
            "version": self.version or None,
            "request_id": self.request_id,
            "principal": self.principal or None,
            "rows": self.rows,
            "score": self.score,
            "applicability": self.applicability,
            "abstained": bool(self.abstained_rows) if single else self.abstained_rows,
            "code": self.code,
        }
        if self.inputs is not None:
            line["inputs"] = self.inputs
        if self.predictions is not None:
            line["predictions"] = self.predictions
        return line


@cache
def metered(metric: Metric, *labels: str) -> Metric:
    """The metric with these labels; looking them up anew would cost more than counting.

    Bounded as the labels are: by the routes, the reasons and the versions deployed.
    """
    return metric.labels(*labels)


class _Meters(NamedTuple):
    """What an inference request counts on, its labels chosen."""

    request_bytes: Histogram
    response_bytes: Histogram
    rows: Counter
    abstained_rows: Counter


@cache
def _meters(*version: str) -> _Meters:
    """Looked up at once; bounded as `metered`."""
    return _Meters(
        metered(metrics.GATEWAY_REQUEST_BYTES, *version),
        metered(metrics.GATEWAY_RESPONSE_BYTES, *version),
        metered(metrics.GATEWAY_ROWS, *version),
        metered(metrics.GATEWAY_ABSTAINED_ROWS, *version),
    )


Handler = Callable[[Request, Call], Awaitable[Response]]
Handlers = Sequence[tuple[str, str, Handler]]
"""Methods, paths and what answers there."""


def routes_of(gateway: Gateway, handlers: Handlers) -> list[Route]:
    """The handlers as routes, each for those alone whom `NEEDS` lets in."""
    return [_route(gateway, method, path, handler) for method, path, handler in handlers]


def _route(gateway: Gateway, method: str, path: str, handler: Handler) -> Route:
    """Every request leaves a log line and metrics, every refusal is a problem."""
    needs = NEEDS[method, path]

    async def run(request: Request) -> Response:
        call = Call(path, request.scope["headers"])
        try:
            call.admit(gateway, needs)
            response = await handler(request, call)
        except Refusal as refusal:
            response = refuse(refusal, request, call)
        except Later as later:
            response = later.response
        except ClientDisconnect:
            call.code = "client_disconnected"
            response = Response(status_code=CLIENT_GONE)
        except Exception:  # noqa: BLE001 - a mistake of ours ends one request, told as such, not the process
            _log.exception("request failed", route=path, request_id=call.request_id)
            response = refuse(Internal("something went wrong here; the log says what"), request, call)
        call.close(gateway, response.status_code, len(response.body))
        return response

    run.__name__ = handler.__name__
    return Route(path, run, methods=[method])


def refuse(
    refusal: Refusal, request: Request, call: Call, *, headers: dict[str, str] | None = None
) -> Response:
    """The problem document of a refusal, noted on the call."""
    call.code = refusal.code
    chunked = isinstance(refusal, TooLarge) and "content-length" not in request.headers
    if chunked:
        # What is left of an endless body is not worth reading.
        headers = {**(headers or {}), "connection": "close"}
    return respond(refusal, instance=request.url.path, request_id=call.request_id, headers=headers)
