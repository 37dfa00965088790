"""What the monitors compute, pure: messages of one partition in, absolute state and results out.

`units` says what a monitor is to the worker that runs it; no Kafka, Redis, Faust, clock or metrics here.
"""
