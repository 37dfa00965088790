"""Reading the body of a request: JSON by its headers, and never more than is allowed."""

from starlette.requests import ClientDisconnect, Request

from atalaia.errors import TooLarge, UnsupportedMediaType

_OCTETS = b"application/octet-stream"


async def read_body(request: Request, *, max_bytes: int, tensors: bool = False) -> bytes:
    """The whole body; where ``tensors`` may follow its JSON it may be called a stream of octets too.

    Raises
    ------
    UnsupportedMediaType
        where the headers say that it is not plain JSON.
    TooLarge
        as soon as the headers, or the bytes that came, say so.
    """
    _check_headers(request.scope["headers"], max_bytes, tensors=tensors)
    message = await request.receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        return body
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await request.receive()


def _check_headers(headers: list[tuple[bytes, bytes]], max_bytes: int, *, tensors: bool) -> None:
    for name, value in headers:
        if name == b"content-type":
            if value != b"application/json" and not (tensors and value == _OCTETS):
                _check_media_type(value.decode("latin-1"))
        elif name == b"content-encoding":
            if value.lower() != b"identity":
                raise UnsupportedMediaType(f"content encoding {value.decode('latin-1')!r}; send it as it is")
        elif name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise _too_large(max_bytes)


def _check_media_type(value: str) -> None:
    media_type, _, parameters = value.partition(";")
    media_type = media_type.strip().lower()
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    if media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        if charset in ("", "utf-8", "utf8", "us-ascii"):
            return
        raise UnsupportedMediaType(f"charset {charset!r}, expected UTF-8")
    raise UnsupportedMediaType(f"content type {value!r}, expected application/json")


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body is larger than {max_bytes} bytes: send fewer rows a request")
