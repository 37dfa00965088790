"""What is watched of a model's traffic itself: rows refused, requests that waited, and silence.

Nothing here is a result of its own, only alerts: no reference and no labels take part, and what is kept is
a handful of counts. As with every monitor the alerts are a function of the log, message by message, however
it is put into batches.
"""

from atalaia.monitors.traffic.monitor import TrafficMonitor

__all__ = ["TrafficMonitor"]
