"""What each route needs: the one list of who may do what; routes and the OpenAPI document follow it."""

from atalaia.access import Scope

Needs = tuple[Scope, ...]
"""Scopes of which a key has one; none where the route is open to all who can reach the gateway."""

OPEN: Needs = ()
INFER: Needs = ("infer",)
LABEL: Needs = ("label",)
ADMIN: Needs = ("admin",)
READ: Needs = ("infer", "admin")
"""What is read to ask well, and to administer."""

NEEDS: dict[tuple[str, str], Needs] = {
    ("POST", "/predict"): INFER,
    ("POST", "/models/{model}/predict"): INFER,
    ("GET", "/schema"): READ,
    ("GET", "/models/{model}/schema"): READ,
    ("POST", "/v2/models/{model}/infer"): INFER,
    ("POST", "/v2/models/{model}/versions/{version}/infer"): INFER,
    ("GET", "/v2/models/{model}"): READ,
    ("GET", "/v2/models/{model}/ready"): READ,
    ("GET", "/v2/models/{model}/versions/{version}"): READ,
    ("GET", "/v2/models/{model}/versions/{version}/ready"): READ,
    ("GET", "/v2/requests/{ticket}"): INFER,
    ("POST", "/v1/models/{model}:predict"): INFER,
    ("GET", "/v1/models"): READ,
    ("GET", "/v1/models/{model}"): READ,
    ("POST", "/labels"): LABEL,
    ("POST", "/feedback"): LABEL,
    ("POST", "/models/{model}/labels"): LABEL,
    ("GET", "/v2/models/{model}/monitors/{monitor}"): READ,
    ("GET", "/alerts"): READ,
    ("POST", "/alerts/{fingerprint}/acknowledge"): ADMIN,
    ("GET", "/silences"): READ,
    ("POST", "/silences"): ADMIN,
    ("DELETE", "/silences/{id}"): ADMIN,
    ("POST", "/v2/repository/index"): READ,
    ("POST", "/v2/repository/models/{model}/load"): ADMIN,
    ("POST", "/v2/repository/models/{model}/unload"): ADMIN,
    # Probes, and what says how the gateway is and how it is asked. They tell names of models and versions
    # (metrics), and nothing of rows.
    ("GET", "/v2"): OPEN,
    ("GET", "/v2/health/live"): OPEN,
    ("GET", "/v2/health/ready"): OPEN,
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/redoc"): OPEN,
    ("GET", "/assets/{name}"): OPEN,
}
