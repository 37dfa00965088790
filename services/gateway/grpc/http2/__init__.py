"""As much of HTTP/2 as a server of unary gRPC calls needs, on the event loop that everything else runs on.

`connection` is the protocol (RFC 9113) without any socket, `listener` puts it on sockets. Header compression
is the library hpack's. docs/decisions says why this is not grpcio's server.
"""
