"""MLServer's side: the benchmark's ONNX file in its own process, with as many threads as our scorer gives it.

MLServer imports this module in its own environment, where `atalaia` is not installed.
"""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    """One tensor in; label and probabilities out."""

    async def load(self) -> bool:
        """Make the session from the file the model's settings name."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        parameters = self.settings.parameters
        assert parameters is not None  # noqa: S101 - the benchmark wrote them
        self._session = onnxruntime.InferenceSession(
            parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model on the one tensor."""
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        label, probabilities = self._session.run(["label", "probabilities"], {"input": rows})
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[
                NumpyCodec.encode_output("label", label),
                NumpyCodec.encode_output("probabilities", probabilities),
            ],
        )
