"""The alerts of a stream, folded again from what its windows say last, in order of time."""

import statistics
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from atalaia.alerts import AlertEvent, fingerprint, rfc3339
from atalaia.auditing.comparison import Mismatch
from atalaia.auditing.error_detections import error_detectors
from atalaia.auditing.published import Published, Stream
from atalaia.bundles.manifest import Manifest
from atalaia.monitors.configuration import MonitorSettings
from atalaia.windows import Window

_QUIET_EFFECT, _QUIET_P = 0.06, 0.05
_FINALS = 30
_LEAST_OF_USUAL = 0.5


class Rule(NamedTuple):
    """Fires at ``hits`` of the last ``among`` disjoint windows, ends after ``clear`` of them in a row."""

    hits: int
    among: int
    clear: int


class Alert(NamedTuple):
    """Whose alert it is: the monitor, and its subject but for the role."""

    monitor: str
    subject: str

    @property
    def of_detector(self) -> bool:
        """Whether it is of a detector of drift."""
        return self.subject.startswith("detector/")


class Said(NamedTuple):
    """What a window says of an alert; one that is ``clear`` counts towards its end."""

    window: Window
    hit: bool
    clear: bool


class Standing(NamedTuple):
    """How an alert stands: quiet, pending or firing, and since when."""

    status: str
    since_ms: int = 0


Folded = tuple[Rule, list[Said]]


def standing(said: Iterable[Said], rule: Rule) -> Standing:
    """Where windows lead in order of time, of those that overlap the first.

    >>> hits = [Said(Window(at, at + 1), True, False) for at in range(2)]
    >>> rule = Rule(hits=2, among=3, clear=1)
    >>> standing(hits, rule), standing([*hits, Said(Window(2, 3), False, True)], rule).status
    (Standing(status='firing', since_ms=0), 'quiet')
    """
    stands, recent, quiet, end_ms = Standing("quiet"), list[Said](), 0, None
    for one in sorted(said, key=lambda one: (one.window.end_ms, one.window.start_ms)):
        if end_ms is not None and one.window.start_ms < end_ms:
            continue
        end_ms = one.window.end_ms
        if stands.status == "firing":
            quiet = quiet + 1 if one.clear else 0
            if quiet == rule.clear:
                stands, recent = Standing("quiet"), []
            continue
        recent = [*recent, one][-rule.among :]
        hits = [earlier.window.start_ms for earlier in recent if earlier.hit]
        if one.hit and len(hits) >= rule.hits:
            stands, quiet = Standing("firing", hits[0]), 0
        elif not hits:
            stands = Standing("quiet")
        elif stands.status == "quiet":
            stands = Standing("pending", hits[0])
    return stands


def folded(
    results: Sequence[Published],
    settings: MonitorSettings,
    manifest: Manifest,
    final: Mapping[Window, bool],
    *,
    coverage: bool,
) -> dict[Alert, Folded]:
    """What the windows of one stream say of each alert, and the rule it follows.

    Parameters
    ----------
    results : of one monitor, the last of each window
    final : whether neither row nor label was expected of a window any more
    coverage : whether all windows of before are known, by which coverage is usual
    """
    answer: dict[Alert, Folded] = {}
    usual = _Usual(results, settings)

    def say(window: Window, found: Iterable[tuple[Alert, Rule, bool, bool]]) -> None:
        for alert, rule, hit, clear in found:
            answer.setdefault(alert, (rule, []))[1].append(Said(window, hit, clear))

    for one in results:
        window, body, monitor = one.place.window, one.body, one.place.monitor
        if monitor == "drift":
            say(window, _by_detectors(one, settings))
            continue
        if not body["provisional"]:
            say(window, (_gaps if monitor == "fairness" else _drops)(body, settings))
            if monitor == "performance":
                say(window, _label_drift(body, settings))
        if monitor == "performance" and final.get(window, False):
            say(window, _errors(body, settings, manifest))
            if coverage:
                say(window, _coverage(one, usual, settings))
    return answer


def subject_of(alert: Alert, stream: Stream) -> str:
    """What an alert is about, by the stream's role."""
    if stream.role == "primary":
        return alert.subject
    return alert.subject + (f"/{stream.role}" if alert.of_detector else f" ({stream.role})")


def disagreeing(
    stream: Stream, alerts: Mapping[Alert, Folded], events: Mapping[str, AlertEvent | None]
) -> Iterator[Mismatch]:
    """Alerts of which the last event says otherwise than the windows; one that is None cannot be told."""
    for alert, (rule, said) in sorted(alerts.items()):
        detector, subject = alert.of_detector, subject_of(alert, stream)
        mark = fingerprint(stream.model, stream.version, alert.monitor, subject)
        event, stands = events.get(mark), standing(said, rule)
        if mark in events and event is None:
            continue
        status = "resolved" if event is None else event.status
        expected = "resolved" if stands.status == "quiet" else stands.status
        lapsed = detector and event is not None and event.reason == "lapsed"
        if status != expected and not lapsed:
            yield Mismatch(f"alert on {subject}", None if event is None else status, expected)
        since = rfc3339(stands.since_ms)
        if status == expected != "resolved" and event is not None and not detector and event.since != since:
            yield Mismatch(f"alert on {subject} since", event.since, since)


def groundless(
    stream: Stream,
    monitor: str,
    alerts: Mapping[Alert, Folded],
    events: Mapping[str, AlertEvent | None],
    *,
    coverage: bool,
) -> Iterator[Mismatch]:
    """Alerts that are pending or fire though no window of a monitor of the stream speaks of them."""
    spoken = {(alert.monitor, subject_of(alert, stream)) for alert in alerts}
    for event in events.values():
        if event is None or event.status == "resolved" or (event.monitor, event.subject) in spoken:
            continue
        own = Stream(event.model, event.version, _role_of(event)) == stream and _told_by(event) == monitor
        if own and (coverage or event.monitor != "coverage"):
            yield Mismatch(f"alert on {event.subject}", event.status, None)


def _told_by(event: AlertEvent) -> str | None:
    """The monitor whose windows an alert follows from; None of the one on all columns, and of traffic."""
    if event.monitor == "drift":
        if event.subject == "inputs" or event.subject.startswith("answers/"):
            return None
        return "drift" if event.subject.startswith("detector/") else "performance"
    return {"performance": "performance", "coverage": "performance", "fairness": "fairness"}.get(
        event.monitor
    )


def _role_of(event: AlertEvent) -> str:
    named = (role for role in ("canary", "shadow") if event.subject.endswith((f" ({role})", f"/{role}")))
    return next(named, "primary")


def _drops(body: Mapping[str, Any], settings: MonitorSettings) -> Iterator[tuple[Alert, Rule, bool, bool]]:
    """Each metric that could be judged."""
    set_ = settings.performance
    rule = Rule(set_.hits, set_.among, set_.quiet_windows)
    for one in body["judgements"]:
        if one["judged"]:
            yield Alert("performance", one["metric"]), rule, one["hit"], not one["hit"]


def _gaps(body: Mapping[str, Any], settings: MonitorSettings) -> Iterator[tuple[Alert, Rule, bool, bool]]:
    """Each metric and attribute of which a gap could be judged: hit where one of them is."""
    set_ = settings.fairness
    hits: dict[str, bool] = {}
    for gap in body["gaps"]:
        if gap["judged"]:
            name = f"{gap['metric']} by {gap['attribute']}"
            hits[name] = hits.get(name, False) or gap["hit"]
    for name, hit in hits.items():
        yield Alert("fairness", name), Rule(set_.hits, set_.among, set_.quiet_windows), hit, not hit


def _label_drift(
    body: Mapping[str, Any], settings: MonitorSettings
) -> Iterator[tuple[Alert, Rule, bool, bool]]:
    """The label: clear where its largest difference is small, or may be chance."""
    deciding = [one for one in body["drift"] if one["p_adjusted"] is not None]
    if not deciding:
        return
    hits = [one for one in deciding if one["hit"]]
    largest = max(deciding, key=lambda one: one["effect"] or 0.0)
    quiet = (largest["effect"] or 0.0) < _QUIET_EFFECT or (largest["p_value"] or 0.0) > _QUIET_P
    set_ = settings.drift
    rule = Rule(set_.hits, set_.among, set_.quiet_windows)
    yield Alert("drift", "label"), rule, bool(hits), quiet and not hits


def _errors(
    body: Mapping[str, Any], settings: MonitorSettings, manifest: Manifest
) -> Iterator[tuple[Alert, Rule, bool, bool]]:
    """Each detector of the error that alerts by itself."""
    found = {one["detector"] for one in body["detectors"]}
    for name in dict.fromkeys(one.detector for one in error_detectors(settings, manifest) if one.alerts):
        hit = name in found
        yield Alert("drift", f"error ({name})"), Rule(1, 1, 1), hit, not hit


class _Usual:
    """The coverage that a window usually ends with: the median of the last that were final when it ended."""

    def __init__(self, results: Sequence[Published], settings: MonitorSettings) -> None:
        set_, horizon_ms = settings.performance, settings.labels.horizon_ms
        size_ms = set_.pane_ms if set_.last_rows is not None else set_.window_ms
        self._settled_ms = max(horizon_ms, size_ms + set_.lateness_ms)
        self._declared = 1.0 if settings.labels.coverage is None else settings.labels.coverage
        with_rows = sorted((one for one in results if one.body["n"]), key=_by_time)
        self._ends = [one.place.window.end_ms for one in with_rows]
        self._shares: list[float] = [one.body.get("coverage", 0.0) for one in with_rows]

    def before(self, end_ms: int) -> float:
        """Of a window that ends then; as declared, else 1, where none was final."""
        shares = self._shares[: bisect_right(self._ends, end_ms - self._settled_ms)][-_FINALS:]
        return statistics.median(shares) if shares else self._declared


def _coverage(
    one: Published, usual: _Usual, settings: MonitorSettings
) -> Iterator[tuple[Alert, Rule, bool, bool]]:
    """Coverage, against what is set or half of what is usual."""
    set_, body = settings.performance, one.body
    if body["coverage"] is None or body["n"] < set_.minimum_labelled_rows:
        return
    least = set_.minimum_coverage
    if least is None:
        least = _LEAST_OF_USUAL * usual.before(one.place.window.end_ms)
    hit = body["coverage"] < least
    yield Alert("coverage", "labels"), Rule(1, 1, 1), hit, not hit


def _by_detectors(one: Published, settings: MonitorSettings) -> Iterator[tuple[Alert, Rule, bool, bool]]:
    """Each detector of scores or distances that alerts by itself, in a window that is judged."""
    set_, body = settings.drift, one.body
    overlaps = set_.last_rows is None and one.place.window.start_ms % set_.window_ms != 0
    if body["provisional"] or overlaps:
        return
    found = {(detected["detector"], detected["column"]) for detected in body["detectors"]}
    for detector in set_.detectors:
        if detector.alerts:
            hit = (detector.detector, detector.column) in found
            subject = f"detector/{detector.column}/{detector.detector}"
            yield Alert("drift", subject), Rule(1, 1, 1), hit, not hit


def _by_time(one: Published) -> tuple[int, int]:
    return one.place.window.end_ms, one.place.window.start_ms
