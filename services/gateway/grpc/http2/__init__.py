"""As much of HTTP/2 as a server of unary gRPC calls needs, on the event loop that everything else runs on.

`connection` is the protocol (RFC 9113) without any socket, `listener` puts it on sockets. Reading compressed
headers is left to the library hpack. Not grpcio's server: on it a call that does nothing takes three quarters
of the CPU time that this gateway takes for a whole request over HTTP, and gRPC would be the slower of the two
(``bench grpc``, ``grpcio_noop``).
"""
