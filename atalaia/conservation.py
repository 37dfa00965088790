"""Conservation: every request is in exactly one outcome, and every outcome has its prediction.

Takes decoded facts of the log and says what differs; where the facts come from is
`atalaia.stream.ledger`'s business.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from atalaia.records import Outcome, SourceRange

LOST_BY_RETENTION = "lost_by_retention"
"""Reason of the dead letter that stands for a range of positions deleted before they were answered."""

Kind = Literal[
    "unaccounted",
    "accounted_twice",
    "not_a_request",
    "outside_of_ranges",
    "gap",
    "overlap",
    "beyond_end",
    "model_on_two_partitions",
    "unanswered",
    "answered_twice",
    "other_outcome",
    "unasked",
]


@dataclass(frozen=True, slots=True)
class Retained:
    """What one partition of `requests` holds: positions ``[start, end)``.

    ``keys`` has an entry for each offset that holds a record; an offset without one is a transaction's
    marker, or belongs to a transaction that was aborted.
    """

    start: int
    end: int
    keys: Mapping[int, bytes | None]


class ObservedRequest(NamedTuple):
    """One request of an observation: where it lay, its id, and what became of it."""

    model: str
    partition: int
    offset: int
    id: str
    outcome: Outcome


class Observed(NamedTuple):
    """One committed message of `observations`."""

    partition: int
    offset: int
    ranges: Sequence[SourceRange]
    requests: Sequence[ObservedRequest]


class Letter(NamedTuple):
    """One dead letter: the position it speaks of and why; a loss by retention covers more than that one."""

    partition: int
    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The log, read to its committed end.

    ``observations`` are in log order within each of their partitions; ``predictions`` gives, for each key,
    what every prediction with that key says became of its request. `requests` must have been read last,
    so that whatever has an outcome has its request here.
    """

    requests: Mapping[int, Retained]
    observations: Sequence[Observed]
    letters: Sequence[Letter]
    predictions: Mapping[bytes, Sequence[Outcome]]


class Difference(NamedTuple):
    """One thing that is not as promised; positions are of `requests` unless the detail says else."""

    kind: Kind
    partition: int | None
    offset: int | None
    detail: str


@dataclass(slots=True)
class Report:
    """What was counted and what differs.

    ``pending`` positions lie beyond what every partition of `observations` has reached: not lost, only
    not yet answered. ``found`` counts all differences of a kind, ``differences`` names the first of each.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    positions: int = 0
    predictions: int = 0
    pending: int = 0
    lost_by_retention: int = 0
    found: Counter[Kind] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.found


def examine(facts: Facts, *, shown: int = 20) -> Report:
    """Hold the log against what is promised of it.

    Parameters
    ----------
    shown : how many differences of a kind are named; the rest is counted

    >>> log = Facts(
    ...     requests={0: Retained(0, 2, {0: b"a", 1: b"b"})},
    ...     observations=[
    ...         Observed(0, 0, [SourceRange(0, 0, 2, 0)], [ObservedRequest("m", 0, 0, "a", "answered")])
    ...     ],
    ...     letters=[],
    ...     predictions={b"a": ["answered"]},
    ... )
    >>> [(entry.kind, entry.offset) for entry in examine(log).differences]
    [('unaccounted', 1)]
    """
    return _Examination(facts, shown).report()


class _Examination:
    def __init__(self, facts: Facts, shown: int) -> None:
        self._facts = facts
        self._shown = shown
        self._report = Report(predictions=sum(map(len, facts.predictions.values())))
        self._places: dict[tuple[int, int], list[tuple[str, Outcome, str | None]]] = defaultdict(list)
        self._reached: dict[int, dict[int, int]] = defaultdict(dict)

    def report(self) -> Report:
        self._check_chains()
        self._collect()
        pending = self._check_positions()
        self._check_predictions(pending)
        return self._report

    def _differ(self, kind: Kind, partition: int | None, offset: int | None, detail: str) -> None:
        self._report.found[kind] += 1
        if self._report.found[kind] <= self._shown:
            self._report.differences.append(Difference(kind, partition, offset, detail))

    def _check_chains(self) -> None:
        """Ranges follow each other in each partition of `observations`, but for what retention took."""
        lost = {(entry.partition, entry.offset) for entry in self._facts.letters if _is_loss(entry)}
        for seen in self._facts.observations:
            if not seen.ranges:
                continue  # an operator's, which says nothing of requests
            reached = self._reached[seen.partition]
            where = f"in message {seen.offset} of observations {seen.partition}"
            for entry in seen.ranges:
                before = reached.get(entry.partition, entry.start)
                if entry.start > before and (entry.partition, before) not in lost:
                    self._differ("gap", entry.partition, before, f"skipped up to {entry.start} {where}")
                if entry.start < before or entry.end < entry.start:
                    detail = f"[{entry.start}, {entry.end}) after {before} {where}"
                    self._differ("overlap", entry.partition, entry.start, detail)
                known = self._facts.requests.get(entry.partition)
                if known is None or entry.end > known.end:
                    detail = f"reached {where}, where requests has no such position"
                    self._differ("beyond_end", entry.partition, entry.end, detail)
                reached[entry.partition] = max(entry.end, reached.get(entry.partition, 0))

    def _collect(self) -> None:
        """Every place at which a position's outcome is told."""
        models: dict[str, int] = {}
        for seen in self._facts.observations:
            covered = {entry.partition: (entry.start, entry.end) for entry in seen.ranges}
            where = f"message {seen.offset} of observations {seen.partition}"
            for request in seen.requests:
                at = (request.partition, request.offset)
                start, end = covered.get(request.partition, (0, 0))
                if not start <= request.offset < end:
                    self._differ("outside_of_ranges", *at, f"{where} covers [{start}, {end})")
                self._places[at].append((where, request.outcome, request.id))
                if models.setdefault(request.model, seen.partition) != seen.partition:
                    other = f"model {request.model} is on {models[request.model]} and on {seen.partition}"
                    self._differ("model_on_two_partitions", *at, other)
        for letter in self._facts.letters:
            if _is_loss(letter):
                self._report.lost_by_retention += 1
            else:
                at = (letter.partition, letter.offset)
                self._places[at].append((f"dead letter: {letter.reason}", "failed", None))

    def _check_positions(self) -> Counter[bytes]:
        """Each retained position has one outcome; how many are still pending, by key, b"" being without."""
        pending: Counter[bytes] = Counter()
        for partition, retained in self._facts.requests.items():
            done_up_to = self._done_up_to(partition)
            for offset, key in retained.keys.items():
                self._report.positions += 1
                told = self._places.get((partition, offset), ())
                if told:
                    self._report.outcomes[told[0][1]] += 1
                elif offset >= done_up_to:
                    self._report.pending += 1
                    pending[key or b""] += 1
                else:
                    self._differ("unaccounted", partition, offset, "in no observation and no dead letter")
        for (partition, offset), told in self._places.items():
            where = "; ".join(place for place, _, _ in told)
            if len(told) > 1:
                self._differ("accounted_twice", partition, offset, where)
            known = self._facts.requests.get(partition)
            if known is None or (offset >= known.start and offset not in known.keys):
                self._differ("not_a_request", partition, offset, where)
        return pending

    def _done_up_to(self, partition: int) -> int:
        """What every partition of `observations` has reached of a partition of `requests`."""
        return min((reached.get(partition, 0) for reached in self._reached.values()), default=0)

    def _check_predictions(self, pending: Counter[bytes]) -> None:
        expected = self._expected()
        for key, outcomes in expected.items():
            found = self._facts.predictions.get(key, ())
            more = len(found) - len(outcomes)
            if more < 0:
                self._differ("unanswered", None, None, _counts(key, found, outcomes))
            elif more > pending[key]:
                self._differ("answered_twice", None, None, _counts(key, found, outcomes))
            elif Counter(outcomes) - Counter(found):
                self._differ("other_outcome", None, None, _counts(key, found, outcomes))
        if any(retained.start > 0 for retained in self._facts.requests.values()):
            return  # predictions may outlive their requests
        nameless = pending[b""]  # their predictions, read later than observations, go by their ids
        for key, found in self._facts.predictions.items():
            if key not in expected and len(found) > pending[key]:
                nameless -= len(found)
                if nameless < 0:
                    self._differ("unasked", None, None, _counts(key, found, ()))

    def _expected(self) -> dict[bytes, list[Outcome]]:
        """What predictions there must be, by key: a request's own key, else its id."""
        expected: dict[bytes, list[Outcome]] = defaultdict(list)
        for (partition, offset), told in self._places.items():
            known = self._facts.requests.get(partition)
            if known is None or offset not in known.keys:
                continue
            _, outcome, request_id = told[0]
            key = known.keys[offset] or (request_id or "").encode()
            if key and outcome != "mark":
                expected[key].append(outcome)
        return expected


def _is_loss(letter: Letter) -> bool:
    return letter.reason == LOST_BY_RETENTION


def _counts(key: bytes, found: Iterable[Outcome], expected: Iterable[Outcome]) -> str:
    name = key.decode("utf-8", "backslashreplace")
    return f"key {name!r} has predictions {sorted(found)}, expected {sorted(expected)}"
