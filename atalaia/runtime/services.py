"""The services as processes: how each is called, and how it is told its settings."""

import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from atalaia.runtime.ports import claim_port, free_port
from atalaia.runtime.probes import answers_http
from atalaia.runtime.processes import ProcessSpec
from atalaia.settings import GatewaySettings, MonitorServiceSettings, ScorerSettings, Settings

MONITORS = ("drift", "fairness", "alerts")
"""The services that keep monitors; each is a group of workers."""
KNOWN = ("gateway", "scorer", *MONITORS)
"""All services of a machine."""

_LOOPBACK = "127.0.0.1"
_ANY_ADDRESS = {"0.0.0.0": _LOOPBACK, "::": "::1"}  # noqa: S104 - recognised here, not bound


@dataclass(frozen=True)
class Service:
    """A service's process, and the page of its metrics."""

    process: ProcessSpec
    metrics_url: str
    metrics_name: str


def gateways(settings: Settings, metrics_dir: Path) -> list[Service]:
    """The gateway processes of a machine whose settings are resolved: their port is claimed already.

    Several share it, and put their metrics together in ``metrics_dir``; each has a further port, by which
    it alone is asked whether it is ready.
    """
    own = settings.gateway
    if own.processes == 1:
        return [_gateway(settings, gateway_url(own))]
    members = []
    for process in range(own.processes):
        port = free_port()
        resolved = own.model_copy(update={"process": process, "probe_port": port, "metrics_dir": metrics_dir})
        members.append(
            _gateway(settings.model_copy(update={"gateway": resolved}), f"http://{_LOOPBACK}:{port}")
        )
    return members


def _gateway(settings: Settings, probed_url: str) -> Service:
    own = settings.gateway
    process = ProcessSpec(
        name="gateway" if own.process == 0 else f"gateway-{own.process}",
        command=[sys.executable, "-m", "services.gateway"],
        environment=environment_of(settings),
        probe=lambda: answers_http(f"{probed_url}/readyz"),
        # Stopped before the scorers, whose replies its requests in flight wait for.
        stage=2,
        stop_seconds=min(own.drain + 2.0, 13.0),
    )
    return Service(process, f"{gateway_url(own)}/metrics", "gateway")


def scorer(settings: Settings, replica: int) -> Service:
    """One scorer of a machine, with a port of its own for metrics: the first's plus its number."""
    own = settings.scorer
    first = own.metrics_port
    port = claim_port(
        first and first + replica, setting="ATALAIA_SCORER__METRICS_PORT", host=own.metrics_host
    )
    resolved = own.model_copy(update={"replica": replica, "metrics_port": port})
    url = scorer_url(resolved)
    process = ProcessSpec(
        name=f"scorer-{replica}",
        command=[sys.executable, "-m", "services.scorer"],
        environment=environment_of(settings.model_copy(update={"scorer": resolved})),
        probe=lambda: answers_http(f"{url}/readyz"),
    )
    return Service(process, f"{url}/metrics", "scorer" if replica == 0 else f"scorer-{replica}")


def monitor(settings: Settings, service: str, worker: int) -> Service:
    """One worker of a service that keeps monitors, with a port of its own: the first's plus its number."""
    own: MonitorServiceSettings = getattr(settings, service)
    setting = f"ATALAIA_{service.upper()}__METRICS_PORT"
    port = claim_port(own.metrics_port and own.metrics_port + worker, setting=setting, host=own.metrics_host)
    resolved = own.model_copy(update={"worker": worker, "metrics_port": port})
    url = _url(own.metrics_host, port)
    process = ProcessSpec(
        name=f"{service}-{worker}",
        command=[sys.executable, "-m", f"services.{service}"],
        environment=environment_of(settings.model_copy(update={service: resolved})),
        probe=lambda: answers_http(f"{url}/readyz"),
    )
    return Service(process, f"{url}/metrics", service if worker == 0 else f"{service}-{worker}")


def present() -> tuple[str, ...]:
    """The services that can run here, in the order of `KNOWN`: monitors need the libraries of ``watch``."""
    found = [name for name in KNOWN if importlib.util.find_spec(f"services.{name}.__main__") is not None]
    # Not faust itself, which takes the place of its own module once it is imported.
    watching = importlib.util.find_spec("aiokafka") is not None
    return tuple(name for name in found if watching or name not in MONITORS)


def gateway_url(settings: GatewaySettings) -> str:
    """Where the gateway of these settings listens."""
    return _url(settings.host, settings.port)


def scorer_url(settings: ScorerSettings) -> str:
    """Where the scorer of these settings shows its metrics and readiness."""
    return _url(settings.metrics_host, settings.metrics_port)


def environment_of(settings: Settings, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables from which `atalaia.settings.load` makes the same settings again.

    Those of `base` (default: this process's own) that set ours otherwise are left out.
    """
    parts = settings.model_dump(mode="json", exclude_none=True)
    ours = [f"ATALAIA_{name.upper()}" for name in type(settings).model_fields]
    variables = {
        name: value
        for name, value in (os.environ if base is None else base).items()
        if not any(name.upper() == our or name.upper().startswith(our + "__") for our in ours)
    }
    for part, value in parts.items():
        variables.update(_variables(f"ATALAIA_{part.upper()}", value))
    return variables


def _variables(prefix: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(prefix, value)]
    # A part is a table of settings; a setting that is a table itself travels as JSON.
    if isinstance(value, dict) and "__" not in prefix:
        return [
            pair for name, inner in value.items() for pair in _variables(f"{prefix}__{name.upper()}", inner)
        ]
    return [(prefix, json.dumps(value))]


def _url(host: str, port: int) -> str:
    address = _ANY_ADDRESS.get(host, host)
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
