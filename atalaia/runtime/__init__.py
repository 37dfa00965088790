"""One machine: a real Kafka, a real Redis and the services, supervised.

`atalaia.runtime.machine.Machine` is the whole; `kafka`, `redis` and `services` say how each part is started,
`supervisor` keeps them running.
"""
