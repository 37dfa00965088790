"""Predictions as Open Inference Protocol responses, formatted for a whole batch at once.

Numbers become text in C, an output at a time for all rows; what differs between two single-row responses
is then filled into one prepared template.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from atalaia.bundles.manifest import Manifest
from atalaia.errors import Contribution, OutOfDistribution, Refusal
from atalaia.inference.protocol import InferResponse
from atalaia.inference.rows import Predictions

ABSTAINED = "abstained"
EXPIRED = "expired"

BYTES_PER_NUMBER = 26
"""Upper bound of a float32 or a 64-bit integer as JSON text, with its comma."""


_quote = msgspec.json.Encoder().encode
"""A string as JSON; many times quicker than orjson for a short one."""


class ResponseWriter:
    """Writes the responses of one model version.

    Parameters
    ----------
    manifest : gives the model's name, version, task and classes
    """

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._classes = [_quote(label).decode() for label in manifest.classes]
        self._class_bytes = [label.encode() for label in self._classes]
        self._label_datatype = "INT64" if all(isinstance(c, int) for c in manifest.classes) else "BYTES"
        name, version = (_quote(text).decode() for text in (manifest.name, manifest.version))
        self._head = f'{{"model_name":{name},"model_version":{version},"id":'.replace("%", "%%")
        self._single = self._template(1)
        longest_label = max((len(text) for text in self._classes), default=0) + 1
        self._row_bytes = longest_label + BYTES_PER_NUMBER * (3 + len(self._classes))

    def derived_bytes(self, rows: int) -> int:
        """Upper bound of the size of a response of ``rows`` rows, without the request's id."""
        return 1_000 + rows * self._row_bytes

    def single_rows(self, ids: Sequence[str], predictions: Predictions) -> list[bytes]:
        """One response for each row, the ``i``-th row being the only one of the request ``ids[i]``."""
        quoted = map(_quote, ids)
        template = self._single
        return [template % row for row in zip(quoted, *self._texts(predictions), strict=True)]

    def many_rows(self, request_id: str, predictions: Predictions) -> bytes:
        """The response of one request whose rows are all of ``predictions``."""
        template = self._template(len(predictions))
        return template % (
            _quote(request_id),
            *(b",".join(texts) for texts in self._texts(predictions)),
        )

    def _texts(self, predictions: Predictions) -> Iterable[Iterable[bytes]]:
        """For each output, one text a row."""
        if predictions.label is not None:
            yield [self._class_bytes[index] for index in predictions.label.tolist()]
            yield _number_texts(predictions.score)
            assert predictions.probabilities is not None  # noqa: S101 - a classifier has both
            yield _row_texts(predictions.probabilities)
        else:
            yield _number_texts(predictions.score)
            yield _number_texts(predictions.score)
        yield _number_texts(predictions.applicability)
        yield [b"true" if flag else b"false" for flag in predictions.abstained.tolist()]

    def _outputs(self, rows: int) -> list[tuple[str, str, list[int]]]:
        if self.manifest.task == "regression":
            named = [("value", "FP32", [rows]), ("score", "FP32", [rows])]
        else:
            named = [
                ("label", self._label_datatype, [rows]),
                ("score", "FP32", [rows]),
                ("probabilities", "FP32", [rows, len(self._classes)]),
            ]
        return [*named, ("applicability", "FP32", [rows]), (ABSTAINED, "BOOL", [rows])]

    def _template(self, rows: int) -> bytes:
        outputs = ",".join(
            f'{{"name":"{name}","datatype":"{datatype}","shape":{orjson.dumps(shape).decode()},"data":[%b]}}'
            for name, datatype, shape in self._outputs(rows)
        )
        return f'{self._head}%b,"outputs":[{outputs}]}}'.encode()


def mark_expired(response: bytes) -> bytes:
    """The same response, saying that its deadline had passed when it was made."""
    return response[:-1] + b',"parameters":{"expired":true}}'


def error_response(
    *, request_id: str, refusal: Refusal, model_name: str | None, model_version: str | None
) -> bytes:
    """The error prediction of a request that was refused after it was published."""
    parameters: dict[str, Any] = {"code": refusal.code, "status": refusal.status}
    body: dict[str, Any] = {"id": request_id, "error": refusal.detail, "parameters": parameters}
    if model_name is not None:
        body["model_name"] = model_name
    if model_version is not None:
        body["model_version"] = model_version
    return orjson.dumps(body)


def abstained_rows(response: InferResponse) -> list[bool]:
    """Which rows of a response are out of distribution."""
    return response.output(ABSTAINED) or []


def out_of_distribution(
    distance: float, cutoff: float, contributions: list[Contribution]
) -> OutOfDistribution:
    """The refusal of a single row beyond the cutoff; ``contributions`` largest first."""
    first = ", ".join(entry.feature for entry in contributions[:3] if entry.contribution > 0)
    detail = (
        f"the row's squared Mahalanobis distance {distance:.4g} is beyond the cutoff {cutoff:.4g}; "
        f"most of it comes from {first}. The model was not made on such rows and does not answer them"
    )
    return OutOfDistribution(detail, distance=distance, cutoff=cutoff, contributions=contributions)


def _number_texts(values: npt.NDArray[np.float32]) -> list[bytes]:
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def _row_texts(matrix: npt.NDArray[np.float32]) -> list[bytes]:
    contiguous = np.ascontiguousarray(matrix)
    return orjson.dumps(contiguous, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")
