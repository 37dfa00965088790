"""Whether something answers; never raises, never takes much longer than a second."""

import contextlib
import http.client
import socket
import urllib.parse
from collections.abc import Mapping

import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from redis.backoff import NoBackoff
from redis.retry import Retry

from atalaia.errors import StreamUnavailable


def answers_http(url: str, *, timeout_seconds: float = 1.0) -> bool:
    """Whether GET gives 200; no redirects, no proxies."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_seconds)
    with contextlib.closing(connection):
        try:
            connection.request("GET", parts.path or "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


def answers_kafka(
    bootstrap_servers: str, client: Mapping[str, str] | None = None, *, timeout_seconds: float = 1.0
) -> bool:
    """Whether a broker gives its metadata."""
    try:
        ask_kafka(bootstrap_servers, client, timeout_seconds=timeout_seconds)
    except StreamUnavailable:
        return False
    return True


def ask_kafka(
    bootstrap_servers: str, client: Mapping[str, str] | None = None, *, timeout_seconds: float = 1.0
) -> None:
    """Get metadata from a broker.

    Raises
    ------
    StreamUnavailable
        saying what the client library said.
    """

    configuration: dict[str, str | int | float | bool] = {
        **(client or {}),
        "bootstrap.servers": bootstrap_servers,
        "log_level": 0,
        "socket.connection.setup.timeout.ms": 1_000,
    }
    try:
        AdminClient(configuration).list_topics(timeout=timeout_seconds)
    except KafkaException as error:
        raise StreamUnavailable(error.args[0].str()) from error


def listens(host: str, port: int, *, timeout_seconds: float = 0.5) -> bool:
    """Whether a connection is accepted."""
    try:
        socket.create_connection((host, port), timeout=timeout_seconds).close()
    except OSError:
        return False
    return True


def answers_redis(url: str, *, timeout_seconds: float = 1.0) -> bool:
    """Whether it answers PING: it is up and has loaded its data."""

    connection = redis.Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )
    with contextlib.closing(connection):
        try:
            return bool(connection.ping())
        except redis.RedisError:
            return False
