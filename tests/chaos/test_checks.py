"""The checks of chaos can fail: a log with one thing wrong in it is told from a good one."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from atalaia.bundles.predictor import Predictor
from atalaia.conservation import Facts, Observed, ObservedRequest, Retained
from atalaia.inference.responses import ResponseWriter
from atalaia.inference.rows import Rows
from atalaia.records import SourceRange
from bench import bundles

from .checks import Asked, Oracle, Predicted, judge

COUNT, SECTION = 40, 8


@dataclass
class Past:
    """What load and log would hold after a run in which all went well."""

    asked: list[Asked]
    acknowledged: list[str]
    requests: dict[int, bytes | None]
    observations: list[Observed]
    keys: dict[str, bytes]
    predictions: list[Predicted]

    def wrong(self, oracle: Oracle) -> list[str]:
        facts = Facts(
            {0: Retained(0, COUNT, self.requests)},
            self.observations,
            [],
            {
                key: ["answered"] * sum(entry.key == key for entry in self.predictions)
                for key in {entry.key for entry in self.predictions}
            },
        )
        verdict = judge(
            oracle,
            asked=self.asked,
            acknowledged=self.acknowledged,
            facts=facts,
            keys=self.keys,
            predictions=self.predictions,
        )
        return list(verdict.wrong)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(bundles.make_bundle(tmp_path_factory.mktemp("chaos") / "bench"))


@pytest.fixture(scope="module")
def oracle(predictor: Predictor) -> Oracle:
    return Oracle(predictor)


@pytest.fixture(scope="module")
def good(predictor: Predictor) -> Past:
    rows = bundles.rows(COUNT, seed=3)
    ids = [f"id-{place}" for place in range(COUNT)]
    keys = {name: f"key-{place}".encode() for place, name in enumerate(ids)}
    answered = predictor.predict(Rows(numeric=rows.astype("f4").astype("f8")))
    bodies = ResponseWriter(predictor.manifest).single_rows(ids, answered)
    observations = [
        Observed(
            0,
            start // SECTION,
            [SourceRange(0, start, start + SECTION, 0)],
            [
                ObservedRequest("bench", 0, place, ids[place], "answered")
                for place in range(start, start + SECTION)
            ],
        )
        for start in range(0, COUNT, SECTION)
    ]
    return Past(
        asked=[
            Asked(name, tuple(row), 200, body)
            for name, row, body in zip(ids, rows.tolist(), bodies, strict=True)
        ],
        acknowledged=ids[:3],
        requests={place: keys[name] for place, name in enumerate(ids)},
        observations=observations,
        keys=keys,
        predictions=[Predicted(keys[name], body) for name, body in zip(ids, bodies, strict=True)],
    )


def duplicate_a_prediction(past: Past) -> None:
    past.predictions.append(past.predictions[7])


def lose_a_prediction(past: Past) -> None:
    del past.predictions[7]


def swap_two_predictions(past: Past) -> None:
    one, other = past.predictions[7], past.predictions[8]
    past.predictions[7:9] = [one._replace(value=other.value), other._replace(value=one.value)]


def swap_two_replies(past: Past) -> None:
    one, other = past.asked[7], past.asked[8]
    past.asked[7:9] = [one._replace(body=other.body), other._replace(body=one.body)]


def swap_two_answers_but_not_their_ids(past: Past) -> None:
    one = past.asked[7]
    other = next(entry for entry in past.asked if entry.row != one.row)
    past.asked[7] = one._replace(body=other.body.replace(other.id.encode(), one.id.encode()))


def answer_200_to_what_never_was_on_the_log(past: Past) -> None:
    del past.keys[past.asked[7].id]


def drop_a_position(past: Past) -> None:
    section = past.observations[1]
    past.observations[1] = section._replace(requests=section.requests[1:])


def drop_a_section(past: Past) -> None:
    del past.observations[2]


def observe_a_section_twice(past: Past) -> None:
    past.observations.insert(2, past.observations[1])


def leave_the_end_unobserved(past: Past) -> None:
    del past.observations[-1]


def lose_an_acknowledged_write(past: Past) -> None:
    past.acknowledged.append("never seen")


WRONGS: dict[Callable[[Past], None], str] = {
    duplicate_a_prediction: "2 predictions",
    lose_a_prediction: "0 predictions",
    swap_two_predictions: "other prediction",
    swap_two_replies: "wrong caller",
    swap_two_answers_but_not_their_ids: "wrong answer",
    answer_200_to_what_never_was_on_the_log: "lost request",
    drop_a_position: "unaccounted at 0/8",
    drop_a_section: "gap at 0/16",
    observe_a_section_twice: "overlap at 0/8",
    leave_the_end_unobserved: "8 positions are still pending",
    lose_an_acknowledged_write: "lost request",
}


def test_a_good_run_has_nothing_wrong(good: Past, oracle: Oracle) -> None:
    assert good.wrong(oracle) == []


def test_a_prediction_that_expired_on_its_second_scoring_is_still_the_callers_answer(
    good: Past, oracle: Oracle
) -> None:
    past = copy.deepcopy(good)
    answer = past.predictions[7]
    past.predictions[7] = answer._replace(value=answer.value[:-1] + b',"parameters":{"expired":true}}')
    assert past.wrong(oracle) == []


@pytest.mark.parametrize("spoil", WRONGS, ids=lambda spoil: spoil.__name__)
def test_what_is_wrong_is_found(good: Past, oracle: Oracle, spoil: Callable[[Past], None]) -> None:
    past = copy.deepcopy(good)
    spoil(past)
    found = past.wrong(oracle)
    assert any(line.startswith(WRONGS[spoil]) for line in found), found


def test_a_request_that_failed_for_its_caller_may_have_its_prediction(good: Past, oracle: Oracle) -> None:
    past = replace(copy.deepcopy(good), asked=[entry._replace(status=504) for entry in good.asked])
    assert past.wrong(oracle) == []
