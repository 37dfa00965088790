"""The tree of errors; each says what was wrong, what was expected, and what to do.

::

    AtalaiaError
    |-- SettingsError           a setting is missing or wrong
    |-- RuntimeMissing          a program this machine lacks (Java, Maven, Redis)
    |-- PortTaken               a port another process listens on
    |-- StartFailed             a supervised process that does not come up
    |-- BundleError             a bundle that cannot be read, verified or made
    |-- TopicMismatch           a topic exists with other settings than declared
    |-- StreamUnavailable       Kafka does not answer; retrying helps
    `-- Refusal                 what whoever sent a request is told
        |-- NotReadable             400
        |-- UnsupportedMediaType    415
        |-- InvalidInput            422 schema, one entry a field
        |-- OutOfDistribution       422 out_of_distribution
        |-- TooLarge                413
        |-- UnknownModel            404
        |-- NoPrimary               503, retry
        |-- TooManyRequests         429, retry
        |-- Unavailable             503, retry
        |-- DeadlineExceeded        504
        |-- ScoringFailed           500
        `-- LostByRetention         410

A service adds refusals that only it can give beside the code that gives them.
"""

import msgspec


class AtalaiaError(Exception):
    """Anything this project raises on purpose."""


class SettingsError(AtalaiaError):
    """A setting is missing or wrong."""


class RuntimeMissing(AtalaiaError):
    """A program this machine lacks; the message says what to install or which setting to give."""


class PortTaken(AtalaiaError):
    """A port that another process listens on; the message names the setting that moves ours."""


class StartFailed(AtalaiaError):
    """A process that ends, or does not become ready, while it is started; the message names its log."""


class BundleError(AtalaiaError):
    """A model bundle that cannot be read, verified or made."""


class TopicMismatch(AtalaiaError):
    """A topic exists with other settings than declared."""


class StreamUnavailable(AtalaiaError):
    """Kafka does not answer; retrying helps."""


class FieldProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field of a request."""

    field: str
    problem: str
    expected: str
    row: int | None = None


class Contribution(msgspec.Struct, frozen=True):
    """How much one feature adds to a squared distance; the contributions of a row sum to it."""

    feature: str
    contribution: float


class Refusal(AtalaiaError):
    """A request that gets no prediction; becomes a problem document, a dead letter's reason, an error reply.

    ``status`` is the HTTP status, ``code`` the machine's name of the reason, ``retry_after_seconds`` is
    given where sending the same request again may help.
    """

    status = 500
    code = "internal"
    title = "Internal error"
    retry_after_seconds: int | None = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotReadable(Refusal):
    """The body is not JSON, or not a JSON object."""

    status, code, title = 400, "not_readable", "Body cannot be read"


class UnsupportedMediaType(Refusal):
    """The content type is not JSON."""

    status, code, title = 415, "unsupported_media_type", "Unsupported content type"


class InvalidInput(Refusal):
    """The body can be read but does not fit the model's signature; every field at fault is named."""

    status, code, title = 422, "invalid_input", "Input does not fit the model"

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(_sentence(problem) for problem in problems))
        self.problems = problems


class OutOfDistribution(Refusal):
    """The row is too far from what the model was made on to be answered."""

    status, code, title = 422, "out_of_distribution", "Out of the model's domain"

    def __init__(
        self, detail: str, *, distance: float, cutoff: float, contributions: list[Contribution]
    ) -> None:
        super().__init__(detail)
        self.distance = distance
        self.cutoff = cutoff
        self.contributions = contributions


class TooLarge(Refusal):
    """The body, the batch, or what would be derived from it is larger than allowed."""

    status, code, title = 413, "too_large", "Request too large"


class UnknownModel(Refusal):
    """No such model or version is deployed."""

    status, code, title = 404, "unknown_model", "No such model"


class NoPrimary(Refusal):
    """No model is deployed to answer by default."""

    status, code, title, retry_after_seconds = 503, "no_primary", "No model is deployed", 5


class TooManyRequests(Refusal):
    """As many requests are in flight as are allowed."""

    status, code, title, retry_after_seconds = 429, "too_many_requests", "Too many requests in flight", 1


class Unavailable(Refusal):
    """The request could not be made durable; it was not accepted."""

    status, code, title, retry_after_seconds = 503, "unavailable", "Kafka is not available", 2


class DeadlineExceeded(Refusal):
    """The request was published but its reply did not come in time."""

    status, code, title = 504, "deadline_exceeded", "No reply before the deadline"


class ScoringFailed(Refusal):
    """The model itself failed on this request."""

    status, code, title = 500, "scoring_failed", "The model failed"


class LostByRetention(Refusal):
    """Requests that retention deleted before they were answered."""

    status, code, title = 410, "lost_by_retention", "Deleted before it was answered"


def _sentence(problem: FieldProblem) -> str:
    where = problem.field if problem.row is None else f"{problem.field} (row {problem.row})"
    return f"{where}: {problem.problem}, expected {problem.expected}"
