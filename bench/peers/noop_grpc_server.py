"""The process of `bench.peers.noop_grpc`."""

import asyncio
import sys

import grpc
import grpc.aio
import uvloop

_ANSWER = bytes(200)


class _Anything(grpc.GenericRpcHandler):
    """Answers every method with the same bytes, which are not even parsed."""

    def service(self, _details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """What answers a call."""
        return _HANDLER


async def _answer(_request: bytes, _context: object) -> bytes:
    return _ANSWER


_HANDLER: "grpc.RpcMethodHandler[bytes, bytes]" = grpc.unary_unary_rpc_method_handler(_answer)


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Anything(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
