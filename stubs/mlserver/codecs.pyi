from typing import Any

import numpy.typing as npt
from mlserver.types import RequestInput, ResponseOutput

class NumpyCodec:
    @classmethod
    def decode_input(cls, request_input: RequestInput) -> npt.NDArray[Any]: ...
    @classmethod
    def encode_output(cls, name: str, payload: npt.NDArray[Any]) -> ResponseOutput: ...
