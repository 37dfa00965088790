from mlserver.types import InferenceRequest, InferenceResponse

class ModelParameters:
    uri: str

class ModelSettings:
    parameters: ModelParameters | None

class MLModel:
    settings: ModelSettings
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str | None: ...
    async def load(self) -> bool: ...
    async def predict(self, payload: InferenceRequest) -> InferenceResponse: ...
