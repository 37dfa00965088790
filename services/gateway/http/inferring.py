"""An inference request over HTTP, from its body to what the reply says."""

from starlette.requests import Request

from services.gateway.calls import Call
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import read_body
from services.gateway.inference.answers import Answer
from services.gateway.inference.intake import Asked
from services.gateway.way import Reader, ask, begin, conclude


async def infer(
    gateway: Gateway, request: Request, call: Call, read: Reader, *, tensors: bool = False
) -> tuple[Asked, bytes, Answer]:
    """What was asked, the reply's own bytes, and what they say.

    Raises
    ------
    Refusal
        any of them.
    """
    gateway.exchange.admit()
    body = await read_body(request, max_bytes=gateway.settings.max_body_bytes, tensors=tensors)
    named = request.path_params
    asked = begin(gateway, call, read, body, model=named.get("model"), version=named.get("version"))
    reply = await ask(gateway, call, asked, body, path=request.scope["path"])
    return asked, reply.value or b"", conclude(gateway, call, asked, reply)
