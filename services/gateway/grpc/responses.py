"""From an answer in JSON to a ModelInferResponse. Pure."""

from services.gateway.grpc.inference_pb2 import ModelInferResponse
from services.gateway.grpc.tensors import write_raw, write_typed
from services.gateway.inference.answers import Answer


def encode(answer: Answer, names: list[str] | None, *, raw: bool) -> bytes:
    """The response as bytes: the tensors called ``names`` in that order, None for all.

    ``raw`` puts them into ``raw_output_contents``.
    """
    tensors = answer.body["outputs"]
    if names is not None:
        by_name = {tensor["name"]: tensor for tensor in tensors}
        tensors = [by_name[name] for name in names]
    response = ModelInferResponse(model_name=answer.model, model_version=answer.version, id=answer.id)
    for name, value in (answer.body.get("parameters") or {}).items():
        if isinstance(value, bool):
            response.parameters[name].bool_param = value
    for tensor in tensors:
        output = response.outputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
        if raw:
            response.raw_output_contents.append(write_raw(tensor["datatype"], tensor["data"]))
        else:
            write_typed(tensor["datatype"], tensor["data"], output.contents)
    return response.SerializeToString()
