"""Bodies are read up to their limit and not a byte further."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from atalaia.errors import TooLarge, UnsupportedMediaType
from services.gateway.http.bodies import read_body


def read(*parts: bytes, headers: dict[str, str] | None = None, end: bool = True) -> tuple[bytes, int]:
    """The body, and how many of its parts were taken."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    if end:
        messages[-1]["more_body"] = False
    messages.append({"type": "http.disconnect"})
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return messages[taken - 1]

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    request = Request({"type": "http", "headers": raw}, receive)
    try:
        return asyncio.run(read_body(request, max_bytes=10)), taken
    except TooLarge as error:
        raise TooLarge(f"{error.detail} after {taken}") from error


def test_a_body_in_one_part_or_many() -> None:
    assert read(b"0123456789") == (b"0123456789", 1)
    assert read(b"01234", b"", b"56789") == (b"0123456789", 3)


def test_an_endless_body_is_cut_off_at_the_limit() -> None:
    with pytest.raises(TooLarge, match="after 3"):
        read(b"0123", b"4567", b"890", b"1", b"2", b"3")
    with pytest.raises(TooLarge, match="after 1"):
        read(b"01234567890")


def test_a_length_beyond_the_limit_is_refused_before_reading() -> None:
    with pytest.raises(TooLarge, match="after 0"):
        read(b"0", headers={"content-length": "11"})


def test_a_client_that_leaves() -> None:
    with pytest.raises(ClientDisconnect):
        read(b"01", end=False)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/vnd.x+json",
    ],
)
def test_json_by_any_of_its_names(media_type: str) -> None:
    assert read(b"{}", headers={"content-type": media_type})[0] == b"{}"


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/json"},
        {"content-type": ""},
        {"content-type": "application/json; charset=latin-1"},
        {"content-encoding": "br"},
    ],
)
def test_anything_else(headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedMediaType):
        read(b"{}", headers=headers)
