"""Any log written as promised passes; any one thing taken from it, added or moved, is found."""

import itertools
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from atalaia.conservation import Facts, Letter, Observed, ObservedRequest, Retained, examine
from atalaia.records import Outcome, SourceRange

MODELS = ("one", "two", "three")
OBSERVATION_PARTITIONS = 2


@dataclass
class Written:
    """A log as scorers write it: sections over partitions, every partition of observations told of each."""

    keys: dict[int, dict[int, bytes | None]] = field(default_factory=dict)
    observations: list[Observed] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    predictions: dict[bytes, list[Outcome]] = field(default_factory=dict)

    def facts(self) -> Facts:
        requests = {
            partition: Retained(0, max(keys, default=-1) + 1, keys) for partition, keys in self.keys.items()
        }
        return Facts(requests, self.observations, self.letters, self.predictions)


@st.composite
def logs(draw: st.DrawFn) -> Written:
    written = Written()
    outcomes: dict[tuple[int, int], Outcome] = {}
    for partition in range(draw(st.integers(1, 3))):
        offset = 0
        keys = written.keys[partition] = {}
        for _ in range(draw(st.integers(1, 8))):
            offset += draw(st.sampled_from([0, 0, 0, 1, 2]))  # markers
            keys[offset] = draw(st.sampled_from([b"again", f"{partition}-{offset}".encode(), None]))
            outcomes[partition, offset] = draw(
                st.sampled_from(["answered", "abstained", "failed", "expired"])
            )
            offset += 1
    place = 0
    for partition, keys in written.keys.items():
        end = max(keys) + 1
        cuts = sorted({0, end, *draw(st.lists(st.integers(0, end), max_size=3))})
        for start, stop in itertools.pairwise(cuts):
            inside = [offset for offset in keys if start <= offset < stop]
            for observations in range(OBSERVATION_PARTITIONS):
                requests = [
                    ObservedRequest(
                        model, partition, offset, _id(partition, offset), outcomes[partition, offset]
                    )
                    for offset in inside
                    for model in [MODELS[offset % len(MODELS)]]
                    if outcomes[partition, offset] != "failed"
                    and MODELS.index(model) % OBSERVATION_PARTITIONS == observations
                ]
                ranges = [SourceRange(partition, start, stop, 0)]
                written.observations.append(Observed(observations, place, ranges, requests))
            place += 1
    for (partition, offset), outcome in outcomes.items():
        key = written.keys[partition][offset]
        if outcome == "failed":
            written.letters.append(Letter(partition, offset, "invalid_input"))
        if key or outcome != "failed":
            written.predictions.setdefault(key or _id(partition, offset).encode(), []).append(outcome)
    return written


def _id(partition: int, offset: int) -> str:
    return f"id-{partition}-{offset}"


@given(logs())
def test_a_log_written_as_promised_has_no_difference(written: Written) -> None:
    report = examine(written.facts())
    assert report.differences == []
    assert report.pending == 0
    assert report.positions == sum(map(len, written.keys.values())) == sum(report.outcomes.values())


@given(logs(), st.data())
def test_an_outcome_taken_away_is_found(written: Written, data: st.DataObject) -> None:
    places = [place for place, seen in enumerate(written.observations) if seen.requests]
    taken = data.draw(st.sampled_from([*places, *(-1 - place for place in range(len(written.letters)))]))
    if taken < 0:
        del written.letters[-1 - taken]
    else:
        seen = written.observations[taken]
        written.observations[taken] = seen._replace(requests=seen.requests[1:])
    assert examine(written.facts()).found["unaccounted"] == 1


@given(logs(), st.data())
def test_a_message_of_observations_seen_twice_is_found(written: Written, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(written.observations) - 1))
    written.observations.insert(place, written.observations[place])
    assert examine(written.facts()).found["overlap"] == 1


@given(logs(), st.data())
def test_a_message_of_observations_that_is_missing_is_found(written: Written, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(written.observations) - 1))
    gone = written.observations.pop(place)
    [cut] = gone.ranges
    report = examine(written.facts())
    later = any(
        seen.partition == gone.partition and entry.partition == cut.partition and entry.start >= cut.end
        for seen in written.observations
        for entry in seen.ranges
    )
    first = cut.start == 0
    if later and not first:
        assert report.found["gap"] == 1
    elif gone.requests:
        assert report.found["unaccounted"] + report.pending >= 1


@given(logs(), st.data())
def test_a_prediction_lost_or_doubled_is_found(written: Written, data: st.DataObject) -> None:
    if not written.predictions:
        return
    key = data.draw(st.sampled_from(sorted(written.predictions)))
    if data.draw(st.booleans()):
        written.predictions[key].append(written.predictions[key][0])
        assert examine(written.facts()).found == {"answered_twice": 1}
    else:
        del written.predictions[key][0]
        assert examine(written.facts()).found == {"unanswered": 1}
