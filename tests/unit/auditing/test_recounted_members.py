"""Every member of a result is recomputed, or is named here with why it is not."""

import copy
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

import msgspec
import numpy as np
import pytest

from atalaia.alerts import rfc3339
from atalaia.auditing.published import KINDS, Published, milliseconds, read_result
from atalaia.auditing.recount import Recount
from atalaia.monitors.units import Models, Watched
from tests.unit.auditing.test_recount import Case, drift_case, find, truth_case
from tests.unit.monitors.truth.truth_log import TABLES, manifest_of

MEASURED = {**TABLES, "drift": {"minimum_window_rows": 20, "minimum_reference_rows": 100}}
TWO = manifest_of(tables=MEASURED)
THREE = manifest_of(classes=("no", "yes", "maybe"))
REGRESSOR = manifest_of(classes=())
LABELS = np.arange(400) % 2
SEXES = ("F", "M", "X")

CASES: dict[str, list[Callable[[], Case]]] = {
    "drift": [drift_case],
    "performance": [lambda: truth_case(TWO, held_out=LABELS), lambda: truth_case(REGRESSOR)],
    "fairness": [
        lambda: truth_case(sexes=SEXES),
        lambda: truth_case(sexes=SEXES, told_of_others=0.3, rows=240),
        lambda: truth_case(THREE, SEXES),
        lambda: truth_case(REGRESSOR, SEXES),
    ],
}

OF_THE_TELLING = {
    "revision": "how often it was told",
    "cut.generation": "when state was made anew",
    "provisional": "when it was told",
}
DETECTORS = {
    f"detectors.{name}": "sequential detectors are not run again"
    for name in ("detector", "column", "at", "since", "rows")
}
NOT_RECOMPUTED: dict[str, dict[str, str]] = {
    "drift": {
        **OF_THE_TELLING,
        **DETECTORS,
        "cut.labels": "labels have no part in it",
        "late_rows": "counted since the model is watched, over rows that may have expired",
        "ahead_rows": "counted since the model is watched, over rows that may have expired",
        "why": "words",
        "columns.why": "words",
        "against_earlier.why": "words",
    },
    "performance": {**DETECTORS, **OF_THE_TELLING, "drift.why": "words"},
    "fairness": OF_THE_TELLING,
}

TIME = re.compile(r"\d{4}-\d\d-\d\dT")
EARLIER_MS = 600_000
OTHERS: tuple[Any, ...] = (
    "2026-01-01T00:00:00Z",
    0.123,
    7,
    True,
    {"share": 0.5, "reference_share": 0.1},
    {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"},
    {"x": 1},
)
"""What may stand where nothing is, of whichever type is right."""


def structs_in(kind: Any) -> Iterator[Any]:
    """Records that a type is, or holds in a list."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    elif get_origin(kind) in (list, Union, types.UnionType):
        for part in get_args(kind):
            yield from structs_in(part)


def declared(kind: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """The paths of all members, without places in lists."""
    for field in msgspec.structs.fields(kind):
        inner = list(structs_in(field.type))
        if not inner:
            yield prefix + field.name
        for one in inner:
            yield from declared(one, f"{prefix}{field.name}.")


def held(body: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Where a member is, or the record that would have it, as a container and a name, in every place."""
    first, _, rest = path.partition(".")
    if not rest or body[first] is None:
        yield body, first
        return
    inner = body[first]
    for one in inner if isinstance(inner, list) else [inner]:
        yield from held(one, rest)


def changed(value: Any) -> list[Any]:
    """What might stand in its place."""
    if value is None:
        return list(OTHERS)
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [_other_number(value)]
    if isinstance(value, str):
        return _other_strings(value)
    if isinstance(value, Mapping):
        return [{**value, name: other} for name, one in value.items() for other in changed(one)]
    return [value[:-1], [*changed(value[0])[:1], *value[1:]]] if value else [["x"], [{"x": 1}], [0.5]]


def _other_number(value: int | float) -> int | float:
    if isinstance(value, float):
        return value + 1e-6
    return value // 2 if value > 1 else value + 1


def _other_strings(value: str) -> list[str]:
    if TIME.match(value):
        return [rfc3339(milliseconds(value) - EARLIER_MS)]
    return [value + "x", "canary"]


def tampered(result: Published, path: str) -> Published | None:
    """A result with a member changed, of a known value where there is one."""
    monitor, body = result.place.monitor, result.body
    places = range(len(list(held(body, path))))
    known = [place for place in places if _value(body, path, place) not in (None, {}, [])]
    for place in [*known, *places][:1]:
        for value in changed(_value(body, path, place)):
            other = copy.deepcopy(body)
            container, name = list(held(other, path))[place]
            container[name] = value
            try:
                return read_result(monitor, msgspec.json.encode(other))
            except (msgspec.ValidationError, ValueError):
                continue
    return None


def _value(body: Any, path: str, place: int) -> Any:
    container, name = list(held(body, path))[place]
    return container[name]


class Exact:
    """Bundles by their digests, as they are stored."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.reference, self.changes = models.reference, models.changes

    def watched(self, model: str, version: str, digest: str) -> Watched | None:
        found = self._models.watched(model, version, digest)
        return found if found is not None and found.digest == digest else None


def differs(case: Case, result: Published, others: Sequence[Published] = ()) -> bool:
    """Whether the audit tells one result, after those of before it."""
    recount = Recount([*others, result], models=Exact(case.models), labels=case.labels)
    for offset, observation in enumerate(case.log):
        recount.take(offset, observation)
    return any(one.mismatches or one.reason for one in recount.finish(len(case.log)))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("monitor", list(CASES))
def test_a_member_that_is_changed_is_told_or_is_known_not_to_be(monitor: str) -> None:
    told = set[str]()
    paths = set(declared(KINDS[monitor]))
    for make in CASES[monitor]:
        case = make()
        at = find(case, monitor)
        # What has drifted follows from all windows before.
        before = case.results[:at] if monitor == "drift" else []
        assert not differs(case, case.results[at], before)
        for path in sorted(paths - told):
            result = tampered(case.results[at], path)
            if result is not None and differs(case, result, before):
                told.add(path)
    assert paths - told == NOT_RECOMPUTED[monitor].keys()
