"""Which version answers a request: a fold over the deployment records of a model."""

from collections.abc import Iterable, Sequence

import msgspec

from atalaia.records import Deployment, ModelRecord, MonitorChange

KEPT_DEPLOYMENTS = 50
"""A record holds this many deployments, newest last; older ones lie before any retained request."""
KEPT_CHANGES = 50
"""Of its monitors' settings, likewise; each says all that was set, so the last alone is enough to go on."""


def add_deployment(record: ModelRecord | None, name: str, deployment: Deployment) -> ModelRecord:
    """The model's record with ``deployment`` as its newest; the same object where nothing would change.

    Raises
    ------
    ValueError
        where the version is deployed with another digest.
    """
    if record is None:
        return ModelRecord(name=name, created_at=deployment.deployed_at, deployments=[deployment])
    for known in record.deployments:
        if known.version == deployment.version and known.digest != deployment.digest:
            raise ValueError(
                f"{name} {deployment.version} is deployed with digest {known.digest}, this bundle has "
                f"{deployment.digest}; give the changed bundle a version of its own"
            )
    current = current_primary(record)
    if current is not None and (current.version, deployment.role) == (deployment.version, "primary"):
        return record
    kept = [*record.deployments, deployment][-KEPT_DEPLOYMENTS:]
    return msgspec.structs.replace(record, deployments=kept)


def add_change(record: ModelRecord, change: MonitorChange) -> ModelRecord:
    """The model's record with ``change`` as the newest of its monitors' settings."""
    return msgspec.structs.replace(record, monitors=[*record.monitors, change][-KEPT_CHANGES:])


def current_primary(record: ModelRecord) -> Deployment | None:
    """The primary that answers new requests."""
    return next((entry for entry in reversed(record.deployments) if entry.role == "primary"), None)


def primary_at(record: ModelRecord, partition: int, offset: int) -> Deployment | None:
    """The primary that answers the request at ``offset`` of ``partition``."""
    primaries = [entry for entry in reversed(record.deployments) if entry.role == "primary"]
    return in_force(primaries, partition, offset) if primaries else None


def in_force(primaries: Sequence[Deployment], partition: int, offset: int) -> Deployment:
    """Of primary deployments, newest first, the one that answers at a position.

    Before the first deployment took effect the first one answers: a request that waited for its model
    is answered rather than refused.
    """
    started = (entry for entry in primaries if entry.positions.get(partition, 0) <= offset)
    return next(started, primaries[-1])


def deployed_version(record: ModelRecord, version: str) -> Deployment | None:
    """The newest deployment of ``version``, in whichever role."""
    return next((entry for entry in reversed(record.deployments) if entry.version == version), None)


def default_model(records: Iterable[ModelRecord]) -> str | None:
    """The model that answers requests that name none: the first deployed."""
    first = min(records, key=lambda record: (record.created_at, record.name), default=None)
    return None if first is None else first.name
