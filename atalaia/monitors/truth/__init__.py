"""Late truth: predictions joined with labels, performance and fairness by window, and their alerts.

`monitor` takes batches; `intake` reads labels, `model` follows one model, `stream` one of its versions in a
role. `layout`, `cells` and `joining` are the join; `timeline` says which windows are told and how sure they
are; `performance` and `fairness` count and judge; `errors` feeds sequential detectors.
"""

from atalaia.monitors.truth.monitor import TruthMonitor

__all__ = ["TruthMonitor"]
