from collections.abc import Sequence

class RequestInput: ...
class ResponseOutput: ...

class InferenceRequest:
    id: str | None
    inputs: Sequence[RequestInput]

class InferenceResponse:
    def __init__(
        self,
        *,
        id: str | None,
        model_name: str,
        model_version: str | None,
        outputs: Sequence[ResponseOutput],
    ) -> None: ...
