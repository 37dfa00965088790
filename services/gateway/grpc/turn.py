"""One call and the way to answer it."""

import structlog

from atalaia.errors import Refusal
from services.gateway.calls import Call
from services.gateway.gateway import Gateway
from services.gateway.grpc.calls import answered, refused_with
from services.gateway.grpc.http2.listener import Respond
from services.gateway.problems import Internal

_log = structlog.get_logger()


class Turn:
    """A call that is answered once, with a message or a refusal.

    Each leaves a line in the log and counts, as over HTTP, with the HTTP status that says the same.
    """

    __slots__ = ("_gateway", "_respond", "call")

    def __init__(self, gateway: Gateway, call: Call, respond: Respond) -> None:
        self.call = call
        self._gateway = gateway
        self._respond = respond

    def answer(self, message: bytes) -> None:
        """All went well."""
        self.call.close(self._gateway, 200, len(message))
        self._respond(answered(message))

    def refuse(self, error: Exception) -> None:
        """It did not; what is no refusal is a mistake of ours, which ends one call and not the process."""
        call = self.call
        if isinstance(error, Refusal):
            refusal = error
        else:
            _log.error("call failed", route=call.route, request_id=call.request_id, exc_info=error)
            refusal = Internal("something went wrong here; the log says what")
        call.code = refusal.code
        call.close(self._gateway, refusal.status, 0)
        self._respond(refused_with(refusal, path=call.route, request_id=call.request_id))
