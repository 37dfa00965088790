"""Refusals as status codes, and problems that fit into metadata."""

import orjson
import pytest

from atalaia import errors
from atalaia.access import Forbidden, RateLimited, Unauthorized
from atalaia.errors import Contribution, FieldProblem, InvalidInput, OutOfDistribution, Refusal
from services.gateway.grpc.statuses import MAX_PROBLEM_BYTES, Status, message_of, status_of, trailers_of
from services.gateway.kept.memory import MemoryUnavailable
from services.gateway.kept.preferences import InFlight, KeyReused
from services.gateway.problems import Internal, ModelNotReady, Reported, Starting


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.NotReadable, Status.INVALID_ARGUMENT),
        (errors.InvalidInput, Status.INVALID_ARGUMENT),
        (errors.OutOfDistribution, Status.FAILED_PRECONDITION),
        (errors.TooLarge, Status.RESOURCE_EXHAUSTED),
        (errors.UnknownModel, Status.NOT_FOUND),
        (errors.NoPrimary, Status.UNAVAILABLE),
        (errors.TooManyRequests, Status.RESOURCE_EXHAUSTED),
        (errors.Unavailable, Status.UNAVAILABLE),
        (errors.DeadlineExceeded, Status.DEADLINE_EXCEEDED),
        (errors.ScoringFailed, Status.INTERNAL),
        (errors.LostByRetention, Status.DATA_LOSS),
        (Unauthorized, Status.UNAUTHENTICATED),
        (Forbidden, Status.PERMISSION_DENIED),
        (RateLimited, Status.RESOURCE_EXHAUSTED),
        (KeyReused, Status.ALREADY_EXISTS),
        (InFlight, Status.ABORTED),
        (MemoryUnavailable, Status.UNAVAILABLE),
        (Internal, Status.INTERNAL),
        (ModelNotReady, Status.UNAVAILABLE),
        (Starting, Status.UNAVAILABLE),
    ],
)
def test_every_refusal_has_the_code_that_clients_act_on(kind: type[Refusal], status: Status) -> None:
    assert status_of(kind.__new__(kind)) is status


def test_no_refusal_is_left_out() -> None:
    kinds = [*Refusal.__subclasses__()]
    for kind in kinds:
        kinds += kind.__subclasses__()
    named = [
        kind
        for kind in kinds
        if kind is not Reported and kind.__module__.startswith(("atalaia", "services.gateway"))
    ]
    assert [kind for kind in named if status_of(kind.__new__(kind)) is Status.UNKNOWN] == []


def test_what_a_scorer_reports_has_the_code_of_its_status() -> None:
    assert status_of(Reported("no", status=422, code="invalid_input")) is Status.INVALID_ARGUMENT
    assert status_of(Reported("no", status=418, code="teapot")) is Status.UNKNOWN


def test_the_problem_is_the_document_of_http() -> None:
    refusal = OutOfDistribution(
        "too far", distance=9.0, cutoff=4.0, contributions=[Contribution("sodium", 9.0)]
    )
    [(name, value)] = trailers_of(refusal, path="/x/Y", request_id="mine")
    problem = orjson.loads(value)
    assert name == b"problem-bin"
    assert (problem["status"], problem["code"], problem["instance"]) == (422, "out_of_distribution", "/x/Y")
    assert (problem["distance"], problem["cutoff"], problem["request_id"]) == (9.0, 4.0, "mine")
    assert problem["contributions"] == [{"feature": "sodium", "contribution": 9.0}]


def test_where_it_helps_to_ask_again_is_said_when() -> None:
    trailers = dict(trailers_of(errors.Unavailable("away"), path="/x", request_id="1"))
    assert trailers[b"retry-after"] == b"2"


@pytest.mark.parametrize("many", [1, 20, 2_000])
@pytest.mark.parametrize("words", ["short", "grün" * 200])
def test_a_problem_always_fits_into_metadata(many: int, words: str) -> None:
    problems = [FieldProblem(words, words, words, place) for place in range(many)]
    contributions = [Contribution(words, float(place)) for place in range(many)]
    refusals = [
        InvalidInput(problems),
        OutOfDistribution(words * many, distance=1.0, cutoff=0.5, contributions=contributions),
    ]
    for refusal in refusals:
        [(_, value)] = trailers_of(refusal, path="/x", request_id="r" * 200)
        assert len(value) <= MAX_PROBLEM_BYTES
        assert orjson.loads(value)["code"] == refusal.code
        assert len(message_of(refusal)) <= 500
