"""A process that keeps monitors: partitions of the log in, fenced state in Redis, results out.

`unit` runs one partition's monitor and knows neither Kafka nor Faust; `consumer` and `app` are the Faust
worker that feeds it; `run` wires both from the settings of a service.
"""
