"""What the monitors publish of any log, the audit finds in it again; what was changed, it names."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from atalaia.auditing.labels import LabelLog
from atalaia.auditing.promised import reached
from atalaia.auditing.published import Published, latest, order, read_result
from atalaia.auditing.recount import Checked, Recount
from atalaia.monitors.units import Models
from atalaia.records import Observation
from atalaia.topics import DRIFT, FAIRNESS, PERFORMANCE
from tests.properties import test_drift_monitor as drift
from tests.properties import test_truth_monitor as truth
from tests.properties.error_logs import ErrorLog, bundles, error_logs
from tests.unit.monitors.drift_log import Reader
from tests.unit.monitors.truth import truth_log
from tests.unit.monitors.truth.truth_log import Told, Worker


def recount(
    results: list[Published],
    log: list[Observation],
    models: Models,
    labels: LabelLog | None = None,
    **more: Any,
) -> list[Checked]:
    labels = LabelLog() if labels is None else labels
    recounted = Recount(results, models=models, labels=labels, forget_every=1, **more)
    for offset, observation in enumerate(log):
        recounted.take(offset, observation)
    return recounted.finish(len(log))


def wrong(checked: list[Checked]) -> list[Any]:
    return [
        (one.place, one.published and one.published.result.cut, one.reason, one.mismatches)
        for one in checked
        if one.mismatches or one.reason
    ]


def labels_of(told: list[Told]) -> LabelLog:
    log = LabelLog()
    for position, message in enumerate(told):
        if message.mark is not None:
            log.mark(position, message.mark)
        else:
            value = msgspec.json.encode(list(message.labels))
            log.add(message.model, position, value, written_ms=message.written_ms)
    return log


def published_by_drift(reader: Reader) -> list[Published]:
    return [read_result(DRIFT.name, msgspec.json.encode(result)) for result in reader.results]


def published_by_truth(worker: Worker) -> list[Published]:
    return [
        read_result(entry.topic.name, entry.value)
        for entry in worker.published
        if entry.topic in (PERFORMANCE, FAIRNESS)
    ]


def told_by(results: list[Published], *monitors: str) -> dict[str, tuple[int, int]]:
    """As `atalaia.auditing.reading` finds it on the topics."""
    positions = reached({"all": [order(one) for one in results]}) if results else {}
    return {monitor: positions["all"] for monitor in monitors if positions}


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(drift.DEFINITIONS), drift.cut_logs())
def test_every_revision_of_drift_is_what_its_rows_come_to(
    definition: dict[str, Any], case: tuple[list[drift.Make], list[int], list[bool]]
) -> None:
    makers, cuts, restarts = case
    known = drift.bundles(definition)
    log = [make(known, number) for number, make in enumerate(makers)]
    reader = drift.read(known, log, cuts, restarts)
    results = published_by_drift(reader)
    checked = recount(results, log, known)
    assert not wrong(checked)
    assert len(checked) == len(results)
    last = list(latest(results).values())
    events = {event.fingerprint: event for event in reader.events}
    assert not wrong(recount(last, log, known, reached=told_by(results, DRIFT.name), alerts=events))


@settings(deadline=None, max_examples=40)
@given(truth.logs())
def test_every_revision_of_performance_and_fairness_is_what_its_rows_and_labels_come_to(
    log: truth.Log,
) -> None:
    results = published_by_truth(truth.read(log, kills=True))
    checked = recount(results, log.messages, truth.BUNDLES, labels_of(log.truth))
    assert not wrong(checked)
    assert len(checked) == len(results)
    last = list(latest(results).values())
    told = told_by(results, PERFORMANCE.name, FAIRNESS.name)
    assert not wrong(recount(last, log.messages, truth.BUNDLES, labels_of(log.truth), reached=told))


def check_errors(log: ErrorLog, known: truth_log.Bundles) -> Worker:
    """All revisions, then the last ones with the alerts, as if more had been told since and as if not."""
    worker = log.read(known)
    results, labels = published_by_truth(worker), labels_of(log.truth)
    assert not wrong(recount(results, log.observed, known, labels))
    last = list(latest(results).values())
    events = {event.fingerprint: event for event in worker.alerts()}
    everything = len(log.observed), len(log.truth)
    for told in (
        told_by(results, PERFORMANCE.name, FAIRNESS.name),
        dict.fromkeys((PERFORMANCE.name, FAIRNESS.name), everything),
    ):
        assert not wrong(recount(last, log.observed, known, labels, reached=told, alerts=events))
    return worker


@settings(deadline=None, max_examples=30)
@given(
    st.booleans().flatmap(
        lambda regression: st.tuples(st.just(regression), error_logs(regression=regression))
    )
)
def test_detections_of_errors_and_alerts_are_what_rows_and_labels_lead_to(
    case: tuple[bool, ErrorLog],
) -> None:
    regression, log = case
    check_errors(log, bundles(regression=regression))
