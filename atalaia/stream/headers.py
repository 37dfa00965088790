"""Headers on `requests` and `replies`; one is there only when it says something."""

REPLY = "reply"
"""On a request: the partition of `replies` its caller waits on, as decimal digits."""

RESULT = "result"
"""On a request: its answer is kept, on `results`, to be fetched."""

DEADLINE = "deadline"
"""On a request: milliseconds since 1970 after which nobody waits for the reply."""

MODEL = "model"
"""On a request: the model asked, before whatever the body says."""

VERSION = "version"
"""On a request: the version asked."""

TRACEPARENT = "traceparent"
"""On a request of a sampled trace: W3C trace context; carried on to its prediction."""

OUTCOME = "outcome"
"""On a reply that is no plain answer: `abstained` (its single row was) or `failed` (it holds an error)."""

MARK = "mark"
"""On `requests` and `labels`: the value is a mark of time, `atalaia.records.TimeMark`."""

ACCEPTED = "accepted"
"""On a label written once more, to its model's partition: milliseconds since 1970 of the first time."""


def accepted_ms(header: str | bytes | None, written_ms: int) -> int:
    """When a label was accepted, given its header `ACCEPTED`; anything but a time counts as not given.

    >>> accepted_ms(b"1500", 2000), accepted_ms(b"soon", 2000), accepted_ms(None, 2000)
    (1500, 2000, 2000)
    """
    text = header or b""
    return int(text) if text.isdigit() and len(text) < 16 else written_ms
