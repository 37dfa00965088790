"""The Open Inference Protocol over gRPC, on a port of its own, by the same way as over HTTP."""
