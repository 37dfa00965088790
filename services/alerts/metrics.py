"""What the sinks measure; what the worker beside them does, it shows itself."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter(
    "atalaia_alerts_sink_events_total",
    "Alert events a sink was offered, once each",
    ("sink", "monitor", "status"),
)
OUTCOMES = Counter(
    "atalaia_alerts_sink_outcomes_total",
    "What became of them: delivered, silenced, unneeded, duplicate, dead",
    ("sink", "outcome"),
)
FAILURES = Counter("atalaia_alerts_sink_failures_total", "Attempts that came to nothing", ("sink",))
RETRIES = Counter("atalaia_alerts_sink_retries_total", "Attempts made after a wait", ("sink",))
BREAKER = Gauge(
    "atalaia_alerts_sink_breaker_open", "1 while a sink is left alone, 0.5 when it is tried again", ("sink",)
)
LAG = Gauge("atalaia_alerts_sink_lag_messages", "Alert events a sink has not got to", ("sink",))
UP = Gauge("atalaia_alerts_sink_up", "Whether a sink is in its group of consumers", ("sink",))
DELIVERY = Histogram(
    "atalaia_alerts_sink_delivery_seconds",
    "From an event's publication to its being taken by the sink",
    ("sink",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
BREAKER_STATES = {"closed": 0.0, "half-open": 0.5, "open": 1.0}
"""The values of `BREAKER`."""
