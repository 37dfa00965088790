import msgspec
import pytest
from confluent_kafka import Message

from atalaia.errors import Refusal
from atalaia.records import TimeMark
from services.scorer.intake import BATCH_BYTES, Intake
from services.scorer.served import Served
from tests.unit.scorer.polls import TOPIC, answer, columns, deployment, message, take, tensor, view

ROW = [[0.5, 0.25]]


class Foreign:
    """A message as confluent_kafka hands it out: `headers` must not be called twice unless set."""

    def __init__(self, inner: Message) -> None:
        self._inner = inner
        self._headers: object = None

    def headers(self) -> object:
        if self._headers is None:
            raise SystemError
        return self._headers

    def set_headers(self, value: object, /) -> None:
        self._headers = value

    def value(self) -> bytes | None:
        return self._inner.value()

    def key(self) -> bytes | None:
        return self._inner.key()

    def partition(self) -> int | None:
        return self._inner.partition()

    def offset(self) -> int | None:
        return self._inner.offset()

    def timestamp(self) -> tuple[int, int]:
        return self._inner.timestamp()


@pytest.mark.parametrize("name", ["named", None])
def test_a_request_is_answered_by_the_version_in_force_where_it_lies(
    line: Served, line_2: Served, name: str | None
) -> None:
    deployments = [deployment(line), deployment(line_2, positions={0: 10, 1: 5, 2: 0})]
    seen = view(line, line_2, deployments={"line": deployments})
    expected = {(0, 9): "1", (0, 10): "2", (1, 4): "1", (1, 5): "2", (2, 0): "2", (0, 11): "2", (1, 0): "1"}
    answered = answer(seen, [message(tensor(ROW, name), at=at) for at in expected])
    assert {at: version for at, (_, version) in answered.versions.items()} == expected
    assert {at: answered.output(at, "value") for at in expected} == {
        at: [100.75] if version == "2" else [0.75] for at, version in expected.items()
    }


def test_what_lies_before_the_first_deployment_waits_for_it(line: Served) -> None:
    seen = view(line, deployments={"line": [deployment(line, positions={0: 50})]})
    assert answer(seen, [message(tensor(ROW), at=(0, 3))]).versions == {(0, 3): ("line", "1")}


def test_a_version_that_could_not_be_loaded_is_passed_over(line: Served) -> None:
    missing = deployment(line, positions={0: 1})
    record = [deployment(line), type(missing)("9", "sha256:0", "primary", {0: 1}, missing.deployed_at)]
    seen = view(line, deployments={"line": record})
    assert answer(seen, [message(tensor(ROW), at=(0, 7))]).versions == {(0, 7): ("line", "1")}


@pytest.mark.parametrize("name", ["named", None])
@pytest.mark.parametrize("by", ["header", "parameter"])
def test_a_pinned_version_answers_wherever_the_request_lies(
    line: Served, line_2: Served, by: str, name: str | None
) -> None:
    seen = view(line, line_2)
    pinned = (
        message(tensor(ROW, name), headers={"version": b"1"})
        if by == "header"
        else message(tensor(ROW, name, version="1"))
    )
    assert answer(seen, [pinned]).versions == {(0, 0): ("line", "1")}


def test_a_shadow_answers_nobody(line: Served, line_2: Served) -> None:
    shadowed = {"line": [deployment(line), deployment(line_2, role="shadow")]}
    seen = view(line, line_2, deployments=shadowed)
    answered = answer(
        seen, [message(tensor(ROW)), message(tensor(ROW), at=(0, 1), headers={"version": b"2"})]
    )
    assert answered.versions == {(0, 0): ("line", "1")}
    assert "shadow" in answered.refusals[0, 1].detail


@pytest.mark.parametrize("name", ["named", None])
def test_a_shadow_hears_what_others_answer(line: Served, line_2: Served, name: str | None) -> None:
    shadowed = {"line": [deployment(line), deployment(line_2, role="shadow", positions={0: 1})]}
    messages = [message(tensor(ROW, name), at=(0, offset)) for offset in range(3)]
    answered = answer(view(line, line_2, deployments=shadowed), messages)
    assert set(answered.versions.values()) == {("line", "1")}
    heard = [at for entry in answered.scored if entry.shadow for at in entry.messages]
    assert [at.offset() for at in heard] == [1, 2]


def test_a_canary_answers_its_share_of_keys_and_always_the_same(line: Served, line_2: Served) -> None:
    split = {"line": [deployment(line), deployment(line_2, role="canary", weight=30.0)]}
    seen = view(line, line_2, deployments=split)
    messages = [
        message(tensor(ROW, "named"), at=(0, offset), key=b"%d" % (offset % 200)) for offset in range(400)
    ]
    answered = answer(seen, messages)
    by_key = [{answered.versions[0, offset][1] for offset in (key, key + 200)} for key in range(200)]
    assert all(len(versions) == 1 for versions in by_key)
    assert 30 <= sum(versions == {"2"} for versions in by_key) <= 90


def test_a_canary_of_everything_leaves_the_primary_nothing(line: Served, line_2: Served) -> None:
    split = {"line": [deployment(line), deployment(line_2, role="canary", weight=100.0)]}
    answered = answer(view(line, line_2, deployments=split), [message(tensor(ROW, "a"), key=None)])
    assert set(answered.versions.values()) == {("line", "2")}


def announced(deployed_at: str) -> bytes:
    return msgspec.json.encode(TimeMark("deployment", 5, "line", deployed_at=deployed_at))


def test_what_follows_a_mark_waits_for_its_deployment(line: Served) -> None:
    messages = [
        message(tensor(ROW), at=(0, 0)),
        message(announced("2026-01-02T00:00:00Z"), at=(0, 1), headers={"mark": b"deployment"}),
        message(tensor(ROW), at=(0, 2)),
    ]
    first = Intake(view(line), topic=TOPIC).take(messages)
    assert (first.taken, first.awaited is None) == (1, False)
    again = Intake(view(line), topic=TOPIC).take(messages[1:])
    assert again.taken == 0
    given_up = Intake(view(line), topic=TOPIC, abandoned=frozenset({"2026-01-02T00:00:00Z"}))
    assert given_up.take(messages[1:]).taken == 2


def test_a_mark_whose_deployment_is_recorded_is_observed(line: Served) -> None:
    batch = Intake(view(line), topic=TOPIC).take(
        [message(announced("2026-01-01T00:00:00Z"), at=(0, 7), key=None, headers={"mark": b"deployment"})]
    )
    assert (batch.awaited, batch.taken) == (None, 1)
    assert [(mark.partition, mark.offset, mark.mark.model) for mark in batch.marks] == [(0, 7, "line")]


@pytest.mark.parametrize(
    "value",
    [b"", b"{}", b"no", b'{"kind":"at","time_ms":1}', b'{"kind":"deployment","time_ms":1,"model":"m"}'],
)
def test_a_mark_that_is_none_is_refused_by_name(line: Served, value: bytes) -> None:
    answered = answer(view(line), [message(value, headers={"mark": b"at"})])
    assert "mark" in answered.refusals[0, 0].detail


def test_a_model_is_taken_from_the_header_then_the_parameters_then_the_default(
    line: Served, table: Served
) -> None:
    answered = answer(
        view(line, table),
        [
            message(tensor(ROW), at=(0, 0)),
            message(tensor([[3.0]], model="table"), at=(0, 1)),
            message(tensor([[3.0]], model="line"), at=(0, 2), headers={"model": b"table"}),
            message(tensor([[3.0]]), at=(0, 3), headers={"model": b"table"}),
            message(tensor(ROW), at=(0, 4), headers={"model": b""}),
        ],
    )
    assert [name for name, _ in answered.versions.values()].count("line") == 2
    assert [answered.output((0, offset), "value") for offset in range(5)] == [
        [0.75],
        [6.0],
        [6.0],
        [6.0],
        [0.75],
    ]


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        (tensor(ROW, "mine"), b"key", "mine"),
        (tensor(ROW), b"key", "key"),
        (tensor(ROW), None, f"{TOPIC}-3-7"),
        (tensor(ROW, ""), b"", f"{TOPIC}-3-7"),
        (columns(a=("FP32", [1.0]), b=("FP32", [1.0])), b"\xff", "�"),
    ],
)
def test_an_answer_names_the_clients_id_else_the_key_else_the_place(
    line: Served, value: bytes, key: bytes | None, expected: str
) -> None:
    [scored] = answer(view(line), [message(value, at=(3, 7), key=key)]).scored
    assert scored.ids == [expected]


def test_one_request_that_cannot_be_read_refuses_itself_alone(line: Served) -> None:
    values = [tensor(ROW), b"garbage", None, b"", tensor([[1.0]]), tensor(ROW, model="nobody"), tensor(ROW)]
    answered = answer(view(line), [message(value, at=(0, place)) for place, value in enumerate(values)])
    assert sorted(answered.responses) == [(0, 0), (0, 6)]
    assert {at[1]: refusal.code for at, refusal in answered.refusals.items()} == {
        1: "not_readable",
        2: "not_readable",
        3: "not_readable",
        4: "invalid_input",
        5: "unknown_model",
    }
    told = answered.failures[0, 4]
    assert (told.model, told.version, told.request.id) == ("line", "1", "key")


def test_a_header_whose_name_is_no_text_is_refused_however_often_it_is_taken(line: Served) -> None:
    foreign = Foreign(message(tensor(ROW), at=(0, 1)))
    for _ in range(2):
        batch = Intake(view(line), topic=TOPIC).take([message(tensor(ROW)), foreign])
        [failure] = batch.failures
        assert (failure.refusal.code, failure.request.id) == ("not_readable", "key")
        assert [group.singles[0].offset() for group in batch.groups] == [0]


def test_a_batch_ends_before_its_observation_grows_too_large(line: Served) -> None:
    size = BATCH_BYTES // 4
    messages = [message(tensor(ROW, "i" * size), at=(0, offset)) for offset in range(11)]
    batches = list(take(view(line), messages))
    assert [batch.taken for batch in batches] == [4, 4, 3]
    assert sum(len(group.singles) for batch in batches for group in batch.groups) == len(messages)
    for batch in batches:
        assert batch.observation_bytes <= BATCH_BYTES + 2 * size


def test_more_rows_than_can_be_carried_are_refused_before_they_are_scored(line: Served) -> None:
    answered = answer(view(line), [message(tensor([[0.0, 0.0]] * 70_000))])
    assert [refusal.code for refusal in answered.refusals.values()] == ["too_large"]


def test_without_a_model_every_request_is_refused_and_may_come_again() -> None:
    refusals: list[Refusal] = list(answer(view(), [message(tensor(ROW))]).refusals.values())
    assert [refusal.code for refusal in refusals] == ["no_primary"]
    assert refusals[0].retry_after_seconds is not None
