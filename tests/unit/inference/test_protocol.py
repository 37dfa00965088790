"""What a body that is no request is told, and what a request that is one becomes."""

import pytest

from atalaia.errors import InvalidInput, NotReadable
from atalaia.inference.protocol import decode_request, decode_response, decode_tensor

TENSOR = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[%b,2]}]}'


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "not JSON"),
        (b"  \n", "not JSON"),
        (b"\x00", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"inputs":[', "not JSON"),
        (b'{"inputs":[]} trailing', "not JSON"),
        (b'{"inputs":[],}', "not JSON"),
        (b'\xef\xbb\xbf{"inputs":[]}', "not JSON"),
        ('{"inputs":[]}'.encode("utf-16"), "not JSON"),
        (b'{"id":5,"inputs":[', "not JSON"),
        (b'{"inputs":[],"id":"\xff\xfe"}', "not JSON"),
        (b'{"inputs":[],"id":"\\ud800"}', "cannot be read"),
        (b"[" * 100_000, "not JSON"),
        (b'{"inputs":' + b"[" * 100_000, "not JSON"),
        (b"null", "must be a JSON object"),
        (b"12", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'[{"inputs":[]}]', "must be a JSON object"),
        (b"NaN", "must be a JSON object"),
        (b"[1e999]", "must be a JSON object"),
    ],
)
def test_what_is_no_json_object_cannot_be_read(body: bytes, detail: str) -> None:
    with pytest.raises(NotReadable, match=detail) as refused:
        decode_request(body)
    assert refused.value.status == 400
    assert decode_tensor(body) is None


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        (b"{}", "body", "missing required field `inputs`"),
        (b'{"inputs":1}', "inputs", "Expected `array`, got `int`"),
        (b'{"inputs":[1]}', "inputs[0]", "Expected `object`, got `int`"),
        (b'{"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]}', "inputs[0]", "`name`"),
        (b'{"inputs":[{"name":7,"shape":[1],"datatype":"FP32","data":[1]}]}', "inputs[0].name", "`str`"),
        (b'{"inputs":[{"name":"x","shape":1,"datatype":"FP32","data":[1]}]}', "inputs[0].shape", "`array`"),
        (b'{"inputs":[{"name":"x","shape":[1.5],"datatype":"FP32","data":[]}]}', "inputs[0].shape[0]", "int"),
        (
            b'{"inputs":[{"name":"x","shape":[true],"datatype":"FP32","data":[]}]}',
            "inputs[0].shape[0]",
            "bool",
        ),
        (
            b'{"inputs":[{"name":"x","shape":[1],"datatype":"float","data":[1]}]}',
            "inputs[0].datatype",
            "float",
        ),
        (b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":1}]}', "inputs[0].data", "`array`"),
        (b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}', "inputs[0]", "`data`"),
        (b'{"inputs":[],"id":5}', "id", "got `int`"),
        (b'{"inputs":[],"parameters":{"model":null}}', "parameters[...]", "got `null`"),
        (b'{"inputs":[],"parameters":[]}', "parameters", "got `array`"),
        (
            b'{"inputs":[{"name":"x","shape":[1],"datatype":"Number out of range","data":[1]}]}',
            "inputs[0].datatype",
            "Number out of range",
        ),
    ],
)
def test_json_that_is_no_request_is_told_the_member_at_fault(body: bytes, field: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode_request(body)
    [told] = refused.value.problems
    assert (refused.value.status, told.field) == (422, field)
    assert problem in told.problem
    assert told.expected


@pytest.mark.parametrize(
    "number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 400 + b".5", b"9" * 5_000]
)
def test_a_number_beyond_any_float_is_a_matter_of_the_input(number: bytes) -> None:
    with pytest.raises(InvalidInput, match="is not a finite number") as refused:
        decode_request(TENSOR % number)
    assert decode_tensor(TENSOR % number) is None
    assert len(refused.value.detail) < 200


def test_nan_in_a_document_broken_elsewhere_is_no_matter_of_the_input() -> None:
    with pytest.raises(NotReadable):
        decode_request(b'{"inputs":[NaN}')


def test_what_is_quoted_of_a_body_is_cut_short() -> None:
    body = b'{"inputs":[{"name":"x","shape":[1],"datatype":"%b","data":[1]}]}' % (b"y" * 100_000)
    with pytest.raises(InvalidInput) as refused:
        decode_request(body)
    assert len(refused.value.detail) < 400


@pytest.mark.parametrize(
    "data", [b"[1,2,3,4]", b"[[1,2],[3,4]]", b"[1.0,2e0,3,4]", b"[1,2,3]", b"[]", b"[[1],[2,3]]"]
)
def test_one_tensor_of_numbers_takes_the_quick_way_whatever_its_lengths(data: bytes) -> None:
    body = b'{"id":"a","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":%b}],"more":[{}]}' % data
    quick, general = decode_tensor(body), decode_request(body)
    assert quick is not None
    assert quick.inputs[0].data == general.inputs[0].data
    assert (quick.id, quick.inputs[0].shape) == ("a", (2, 2))


@pytest.mark.parametrize("value", [b"true", b'"1"', b"null", b"{}", b"[[[1]]]"])
def test_anything_but_numbers_takes_the_general_way(value: bytes) -> None:
    body = TENSOR % value
    assert decode_tensor(body) is None
    assert decode_request(body).inputs[0].name == "x"


def test_several_tensors_or_one_of_one_dimension_take_the_general_way() -> None:
    one = b'{"name":"x","shape":[1],"datatype":"FP32","data":[1]}'
    for inputs in (one, b"%b,%b" % (one, one), b""):
        body = b'{"inputs":[%b]}' % inputs
        assert decode_tensor(body) is None
        decode_request(body)


def test_outputs_of_a_response_are_found_by_name() -> None:
    response = decode_response(
        b'{"outputs":[{"name":"score","datatype":"FP32","shape":[2],"data":[1.5,2.5]}]}'
    )
    assert response.output("score") == [1.5, 2.5]
    assert response.output("label") is None
