from collections.abc import Mapping, Sequence
from typing import Any

from onnx import ModelProto

__version__: str

def to_onnx(
    model: object,
    X: object = ...,  # noqa: N803
    name: str | None = ...,
    initial_types: Sequence[tuple[str, object]] | None = ...,
    target_opset: int | Mapping[str, int] | None = ...,
    options: Mapping[Any, Any] | None = ...,
) -> ModelProto: ...
