"""Which versions take part in a request, and how: a fold over the deployments of a model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import msgspec

from atalaia.records import Deployment, ModelRecord, MonitorChange

KEPT_DEPLOYMENTS = 50
"""A record holds about this many deployments; older ones lie before any retained request."""
KEPT_CHANGES = 50
"""Of its monitors' settings, likewise; each says all that was set, so the last alone is enough to go on."""

_SHARES = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The versions of a model at one position: who answers, whom a share of requests goes to, who listens.

    ``primary`` is None before the first deployment and after the model was withdrawn.
    """

    primary: Deployment | None = None
    canary: Deployment | None = None
    shadows: tuple[Deployment, ...] = ()

    @property
    def versions(self) -> tuple[Deployment, ...]:
        """All that take part."""
        answering = (entry for entry in (self.primary, self.canary) if entry is not None)
        return (*answering, *self.shadows)

    def answering(self, key: bytes) -> Deployment | None:
        """Who answers the request of this key: the canary its share of keys, always the same ones.

        A share that grows keeps the keys it had.
        """
        if self.canary is None or self.primary is None:
            return self.primary
        chosen = crc32(key) % _SHARES < (self.canary.weight or 0) * (_SHARES / 100)
        return self.canary if chosen else self.primary

    def after(self, deployment: Deployment) -> "Plan":
        """The plan once a deployment has taken effect: a version takes part in one role."""
        others = replace(
            self,
            canary=None if _same(self.canary, deployment) else self.canary,
            shadows=tuple(entry for entry in self.shadows if entry.version != deployment.version),
        )
        match deployment.role:
            case "primary":
                return replace(others, primary=deployment)
            case "canary":
                return replace(others, canary=deployment)
            case "shadow":
                return replace(others, shadows=(*others.shadows, deployment))
            case "retired":
                return replace(others, primary=None if _same(self.primary, deployment) else self.primary)


def plan_at(deployments: Sequence[Deployment], partition: int, offset: int) -> Plan:
    """The plan for the request at ``offset`` of ``partition``; deployments are oldest first.

    Before the first primary took effect that one answers: a request that waited for its model is answered
    rather than refused.
    """
    plan, begun = Plan(), False
    for entry in deployments:
        if entry.positions.get(partition, 0) <= offset:
            plan = plan.after(entry)
            begun = begun or entry.role == "primary"
    if not begun:
        first = next((entry for entry in deployments if entry.role == "primary"), None)
        return replace(plan, primary=first)
    return plan


def current_plan(deployments: Iterable[Deployment]) -> Plan:
    """The plan for new requests."""
    plan = Plan()
    for entry in deployments:
        plan = plan.after(entry)
    return plan


def newest_position(deployments: Iterable[Deployment], partition: int) -> int:
    """From where on in a partition the current plan holds."""
    return max((entry.positions.get(partition, 0) for entry in deployments), default=0)


def add_deployment(record: ModelRecord | None, name: str, deployment: Deployment) -> ModelRecord:
    """The model's record with ``deployment`` as its newest; the same object where nothing would change.

    Raises
    ------
    ValueError
        where the version is deployed with another digest, or takes a role it cannot.
    """
    if record is None:
        if deployment.role != "primary":
            raise ValueError(f"{name} has no version yet: its first is the primary, not a {deployment.role}")
        return ModelRecord(name=name, created_at=deployment.deployed_at, deployments=[deployment])
    for known in record.deployments:
        if known.version == deployment.version and known.digest != deployment.digest:
            raise ValueError(
                f"{name} {deployment.version} is deployed with digest {known.digest}, this bundle has "
                f"{deployment.digest}; give the changed bundle a version of its own"
            )
    plan = current_plan(record.deployments)
    if _changes_nothing(record, plan, deployment):
        return record
    if _same(plan.primary, deployment) and deployment.role in ("canary", "shadow"):
        raise ValueError(
            f"{name} {deployment.version} is the primary and answers already, so it cannot be a "
            f"{deployment.role} beside itself"
        )
    deployments = _without_old([*record.deployments, deployment])
    return msgspec.structs.replace(record, deployments=deployments)


def add_change(record: ModelRecord, change: MonitorChange) -> ModelRecord:
    """The model's record with ``change`` as the newest of its monitors' settings."""
    return msgspec.structs.replace(record, monitors=[*record.monitors, change][-KEPT_CHANGES:])


def merge_records(known: ModelRecord | None, read: ModelRecord) -> ModelRecord:
    """What a model's record comes to, by all before it on the topic and the next.

    Each holds what its writer knew and one change. Two that were written at once both hold: what the later
    writer did not know stays, before what it adds. Of a record that knew all before it nothing else comes.
    """
    if known is None:
        return read
    deployments = [
        *known.deployments,
        *(entry for entry in read.deployments if entry not in known.deployments),
    ]
    monitors = [*known.monitors, *(entry for entry in read.monitors if entry not in known.monitors)]
    monitors.sort(key=lambda change: -1 if change.offset is None else change.offset)
    return msgspec.structs.replace(
        read,
        created_at=known.created_at,
        deployments=_without_old(deployments),
        monitors=monitors[-KEPT_CHANGES:],
    )


def current_primary(record: ModelRecord) -> Deployment | None:
    """The primary that answers new requests."""
    return current_plan(record.deployments).primary


def primary_at(record: ModelRecord, partition: int, offset: int) -> Deployment | None:
    """The primary that answers the request at ``offset`` of ``partition``."""
    return plan_at(record.deployments, partition, offset).primary


def previous_primary(record: ModelRecord) -> Deployment | None:
    """The version that answered before the present primary; None where there was none, or it was retired."""
    current = current_primary(record)
    retired: set[str] = set()
    for entry in reversed(record.deployments):
        if entry.role == "retired":
            retired.add(entry.version)
        elif entry.role == "primary" and not _same(current, entry) and entry.version not in retired:
            return entry
    return None


def answered_last(record: ModelRecord) -> Deployment | None:
    """The primary of now, else the version that was it last, though it has been retired since."""
    return current_primary(record) or next(
        (entry for entry in reversed(record.deployments) if entry.role == "primary"), None
    )


def deployed_version(record: ModelRecord, version: str) -> Deployment | None:
    """The newest deployment of ``version``, in whichever role; None where it was never there, or retired."""
    newest = next((entry for entry in reversed(record.deployments) if entry.version == version), None)
    return None if newest is None or newest.role == "retired" else newest


def default_model(records: Iterable[ModelRecord]) -> str | None:
    """The model that answers requests that name none: the first deployed."""
    first = min(records, key=lambda record: (record.created_at, record.name), default=None)
    return None if first is None else first.name


def _same(one: Deployment | None, other: Deployment) -> bool:
    return one is not None and one.version == other.version


def _changes_nothing(record: ModelRecord, plan: Plan, deployment: Deployment) -> bool:
    if deployment.role == "retired":
        return deployed_version(record, deployment.version) is None
    present = next((entry for entry in plan.versions if _same(entry, deployment)), None)
    if present is None:
        return False
    return (present.role, present.weight) == (deployment.role, deployment.weight)


def _without_old(deployments: list[Deployment]) -> list[Deployment]:
    """The newest, and those of older ones that are in force."""
    in_force = {id(entry) for entry in current_plan(deployments).versions}
    newest = len(deployments) - KEPT_DEPLOYMENTS
    return [entry for place, entry in enumerate(deployments) if place >= newest or id(entry) in in_force]
