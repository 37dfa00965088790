import shlex

import orjson
import pytest

from atalaia.demo.posting import Answer, Post
from atalaia.demo.stage import spoken, strangest
from atalaia.demo.traffic import Traffic
from atalaia.demo.tries import Try, tries
from atalaia.inference.protocol import decode_request
from recipes.bmp_panels import FEATURES

URL = "http://127.0.0.1:12345"


@pytest.mark.parametrize("line", tries("bmp"), ids=lambda line: line.shows)
def test_a_curl_line_says_what_the_demo_sends(line: Try) -> None:
    words = shlex.split(line.curl(URL).replace("\\\n", ""))
    assert words[:3] == ["curl", "-s", f"{URL}{line.path}"]
    if line.lines:
        assert words[3:] == ["-H", "content-type: application/json", "-d", line.post.body.decode()]
        assert orjson.loads(line.post.body)
        assert line.post.headers == {"content-type": "application/json"}
    else:
        assert words[3:] == []
        assert line.post.method == "GET"
    assert max(map(len, line.curl(URL).splitlines())) <= 100


def test_every_row_is_given_once_and_every_request_has_an_id_of_its_own() -> None:
    traffic = Traffic(60, "run")
    posts = [*traffic.plain(10), *traffic.tensors(10), *traffic.tensors(2, rows_each=8)]
    messages = [*traffic.messages(20), *traffic.far_out(4)]
    ids = [post.id for post in posts] + [key for key, _ in messages]
    assert len(set(ids)) == 46
    rows = sum(decode_request(value).inputs[0].shape[0] for _, value in messages)
    assert rows == 24
    bodies = {post.body.replace(post.id.encode(), b"") for post in posts}
    assert len(bodies) == len(posts)


def test_rows_far_out_differ_in_creatinine_only() -> None:
    traffic, same = Traffic(3, "run"), Traffic(3, "run")
    (_, far), (_, near) = traffic.far_out(3)[1], same.messages(3)[1]
    pairs = zip(decode_request(far).inputs[0].data, decode_request(near).inputs[0].data, strict=True)
    assert [FEATURES[place] for place, (a, b) in enumerate(pairs) if a != b] == ["creatinine"]


def test_anything_but_a_prediction_or_an_abstention_is_strange() -> None:
    post = Post("/predict", b"{}")
    fine = [Answer(post, 200, b"{}", 0.001), Answer(post, 422, b'{"code":"out_of_distribution"}', 0.001)]
    odd = [
        Answer(post, 504, b'{"code":"deadline_exceeded","detail":"no reply"}', 20.0),
        Answer(post, 422, b'{"code":"invalid_input","detail":"no sodium"}', 0.001),
        Answer(post, 0, b"ConnectionRefusedError()", 0.001),
    ]
    assert all(map(spoken, fine))
    assert not any(map(spoken, odd))
    assert strangest(fine) == "all are"
    assert strangest([*fine, *odd]) == "3 otherwise, the first 504 deadline_exceeded: no reply"
