"""Which version answers: a fold over deployments, by position and never by clock."""

import msgspec
import pytest

from atalaia.deployments import (
    KEPT_CHANGES,
    KEPT_DEPLOYMENTS,
    add_change,
    add_deployment,
    answered_last,
    current_primary,
    default_model,
    deployed_version,
    plan_at,
    previous_primary,
    primary_at,
)
from atalaia.records import Deployment, DeploymentRole, ModelRecord, MonitorChange, Role


def deployment(
    version: str, positions: dict[int, int] | None = None, role: DeploymentRole = "primary"
) -> Deployment:
    return Deployment(version, f"sha256:{version}", role, positions or {}, f"2026-01-0{version[0]}T00:00:00Z")


def record(*deployments: Deployment) -> ModelRecord:
    folded: ModelRecord | None = None
    for entry in deployments:
        folded = add_deployment(folded, "m", entry)
    assert folded is not None
    return folded


def versions(entries: ModelRecord) -> list[str]:
    return [entry.version for entry in entries.deployments]


def test_the_first_deployment_makes_the_record() -> None:
    made = record(deployment("1"))
    assert (made.name, made.created_at) == ("m", "2026-01-01T00:00:00Z")
    assert versions(made) == ["1"]


def test_a_new_version_comes_last_and_the_models_age_stays() -> None:
    made = record(deployment("1"), deployment("2"))
    assert versions(made) == ["1", "2"]
    assert made.created_at == "2026-01-01T00:00:00Z"


def test_the_present_primary_again_is_no_change_at_other_positions_too() -> None:
    made = record(deployment("1"), deployment("2"))
    assert add_deployment(made, "m", deployment("2", {0: 99})) is made


def test_an_earlier_version_again_is_a_way_back() -> None:
    made = record(deployment("1"), deployment("2", {0: 10}), deployment("1", {0: 20}))
    assert versions(made) == ["1", "2", "1"]
    assert [primary_at(made, 0, offset).version for offset in (5, 15, 25)] == ["1", "2", "1"]  # type: ignore[union-attr]


@pytest.mark.parametrize("role", ["primary", "canary", "shadow"])
def test_a_version_of_another_digest_is_refused_with_what_to_do(role: Role) -> None:
    made = record(deployment("1"), deployment("2"))
    changed = Deployment("1", "sha256:other", role, {}, "2026-01-03T00:00:00Z")
    with pytest.raises(ValueError, match="m 1 is deployed with digest sha256:1") as refused:
        add_deployment(made, "m", changed)
    assert "give the changed bundle a version of its own" in str(refused.value)


def test_adding_leaves_the_record_it_was_given() -> None:
    made = record(deployment("1"))
    add_deployment(made, "m", deployment("2"))
    assert versions(made) == ["1"]


def test_a_record_keeps_its_newest_deployments() -> None:
    made = record(*(deployment(f"{i % 9 + 1}.{i}") for i in range(KEPT_DEPLOYMENTS + 5)))
    assert len(made.deployments) == KEPT_DEPLOYMENTS
    assert made.deployments[-1].version.endswith(f".{KEPT_DEPLOYMENTS + 4}")


@pytest.mark.parametrize(
    ("partition", "offset", "version"),
    [(0, 0, "1"), (0, 99, "1"), (0, 100, "2"), (0, 10_000, "2"), (1, 4, "1"), (1, 5, "2"), (7, 0, "2")],
)
def test_the_primary_is_picked_by_position(partition: int, offset: int, version: str) -> None:
    made = record(deployment("1", {0: 0, 1: 0}), deployment("2", {0: 100, 1: 5}))
    primary = primary_at(made, partition, offset)
    assert primary is not None
    assert primary.version == version


def test_a_request_older_than_its_model_is_answered_by_the_first() -> None:
    primary = primary_at(record(deployment("1", {0: 50}), deployment("2", {0: 80})), 0, 3)
    assert primary is not None
    assert primary.version == "1"


def test_canaries_and_shadows_do_not_answer_as_primary() -> None:
    made = record(deployment("1"), deployment("2", role="canary"), deployment("3", role="shadow"))
    current, at = current_primary(made), primary_at(made, 0, 10)
    assert current is not None
    assert current is at
    assert current.version == "1"


@pytest.mark.parametrize("role", ["canary", "shadow", "retired"])
def test_the_first_version_of_a_model_is_its_primary(role: DeploymentRole) -> None:
    with pytest.raises(ValueError, match="its first is the primary"):
        add_deployment(None, "m", deployment("1", role=role))


def roles(made: ModelRecord, offset: int = 10_000) -> dict[str, str]:
    """Who takes part at a position, and how."""
    plan = plan_at(made.deployments, 0, offset)
    return {entry.version: entry.role for entry in plan.versions}


def test_a_version_takes_part_in_one_role_from_each_position_on() -> None:
    #  offset    0        10         20          30           40
    #            1 prim.  2 shadow   2 canary    2 primary    1 retired
    made = record(
        deployment("1", {0: 0}),
        deployment("2", {0: 10}, "shadow"),
        deployment("2", {0: 20}, "canary"),
        deployment("2", {0: 30}),
        deployment("1", {0: 40}, "retired"),
    )
    assert [roles(made, offset) for offset in (5, 15, 25, 35)] == [
        {"1": "primary"},
        {"1": "primary", "2": "shadow"},
        {"1": "primary", "2": "canary"},
        {"2": "primary"},
    ]
    assert deployed_version(made, "1") is None


def test_a_canary_gives_way_to_another_and_shadows_do_not() -> None:
    made = record(
        deployment("1"), *(deployment(v, role="canary") for v in "23"), deployment("2", role="shadow")
    )
    assert roles(made) == {"1": "primary", "3": "canary", "2": "shadow"}


def test_a_primary_cannot_stand_beside_itself() -> None:
    with pytest.raises(ValueError, match="answers already"):
        add_deployment(record(deployment("1")), "m", deployment("1", role="shadow"))


def test_the_same_canary_is_no_change_and_another_share_is_one() -> None:
    made = record(deployment("1"), canary("2", 5.0))
    assert add_deployment(made, "m", canary("2", 5.0)) is made
    assert add_deployment(made, "m", canary("2", 10.0)) is not made
    assert add_deployment(made, "m", deployment("9", role="retired")) is made


def test_without_its_primary_a_model_answers_nobody() -> None:
    made = record(deployment("1"), deployment("1", {0: 10}, "retired"))
    assert current_primary(made) is None
    assert roles(made, 5) == {"1": "primary"}
    assert plan_at(made.deployments, 0, 10).answering(b"key") is None


def test_the_way_back_skips_what_was_retired() -> None:
    made = record(deployment("1"), deployment("2"), deployment("3"))
    before = previous_primary(made)
    assert before is not None
    assert before.version == "2"
    before = previous_primary(add_deployment(made, "m", deployment("2", role="retired")))
    assert before is not None
    assert before.version == "1"
    assert previous_primary(record(deployment("1"))) is None


def canary(version: str, weight: float) -> Deployment:
    return msgspec.structs.replace(deployment(version, role="canary"), weight=weight)


def test_a_canary_has_its_share_of_keys_and_keeps_them_as_it_grows() -> None:
    keys = [str(number).encode() for number in range(20_000)]

    def taken(weight: float) -> set[bytes]:
        plan = plan_at(record(deployment("1"), canary("2", weight)).deployments, 0, 0)
        answering = {key: plan.answering(key) for key in keys}
        return {key for key, entry in answering.items() if entry is not None and entry.version == "2"}

    tenth, third = taken(10.0), taken(100 / 3)
    assert abs(len(tenth) / len(keys) - 0.1) < 0.01
    assert abs(len(third) / len(keys) - 1 / 3) < 0.015
    assert tenth < third
    assert taken(0.0) == set()
    assert taken(100.0) == set(keys)


def test_what_is_in_force_is_kept_however_old() -> None:
    shadow = deployment("9", role="shadow")
    made = record(
        deployment("1"), shadow, *(deployment(str(i % 2 + 1)) for i in range(2 * KEPT_DEPLOYMENTS + 1))
    )
    assert shadow in made.deployments
    assert len(made.deployments) <= KEPT_DEPLOYMENTS + 1


def test_a_version_is_found_in_its_newest_role() -> None:
    made = record(deployment("1"), deployment("2", role="canary"), deployment("2", {0: 5}))
    found = deployed_version(made, "2")
    assert found is not None
    assert found.role == "primary"
    assert deployed_version(made, "9") is None


def test_the_default_model_is_the_first_deployed() -> None:
    old = ModelRecord("z", "2026-01-01T00:00:00Z", [])
    new = ModelRecord("a", "2026-01-02T00:00:00Z", [])
    twin = ModelRecord("y", "2026-01-01T00:00:00Z", [])
    assert default_model([new, old]) == "z"
    assert default_model([new, old, twin]) == default_model([twin, old, new]) == "y"
    assert default_model([]) is None


def test_a_deployment_keeps_what_was_set_of_the_monitors() -> None:
    change = MonitorChange("m", {"drift": {"effect": 0.1}}, "2026-01-01T00:00:00Z", offset=7)
    made = add_deployment(add_change(record(deployment("1")), change), "m", deployment("2"))
    assert versions(made) == ["1", "2"]
    assert made.monitors == [change]


def test_of_the_changes_the_last_are_kept() -> None:
    made = record(deployment("1"))
    for offset in range(KEPT_CHANGES + 3):
        made = add_change(made, MonitorChange("m", {}, "2026-01-01T00:00:00Z", offset=offset))
    assert [change.offset for change in made.monitors] == list(range(3, KEPT_CHANGES + 3))


def test_who_answered_last_is_known_though_all_were_retired() -> None:
    first, second, listening = deployment("1"), deployment("2"), deployment("3", role="shadow")
    made = record(first, second, listening)
    assert answered_last(made) is second
    emptied = record(*made.deployments, *(deployment(version, role="retired") for version in "231"))
    assert current_primary(emptied) is None
    assert answered_last(emptied) is second
    assert answered_last(ModelRecord(name="m", created_at="", deployments=[])) is None
