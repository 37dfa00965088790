"""What the gateway hands out while Kafka is nowhere: health, bounds, ids."""

import pytest

from atalaia.errors import InvalidInput, Unavailable
from atalaia.settings import GatewaySettings, KafkaSettings
from services.gateway.calls import Call
from services.gateway.inference.exchange import Exchange


def call(request_id: bytes | None) -> Call:
    headers = [] if request_id is None else [(b"x-request-id", request_id)]
    return Call("/predict", headers)


def test_an_exchange_that_never_heard_itself_is_not_up_and_admits_nobody() -> None:
    exchange = Exchange(KafkaSettings(bootstrap_servers="127.0.0.1:1"), GatewaySettings())
    assert not exchange.up
    with pytest.raises(Unavailable) as refused:
        exchange.admit()
    assert refused.value.retry_after_seconds


def test_the_key_is_never_a_clients_id() -> None:
    first, second = call(b"same"), call(b"same")
    assert first.request_id == second.request_id == "same"
    assert first.key != second.key
    assert len(first.key) == 32
    assert call(None).request_id != call(None).request_id


@pytest.mark.parametrize("given", [b"x" * 201, b"a\nb", b"\x00"])
def test_an_id_that_is_none(given: bytes) -> None:
    refused = call(given)
    with pytest.raises(InvalidInput, match="X-Request-Id"):
        refused.check_client_id()
    assert len(refused.request_id) <= 200


def test_an_empty_id_counts_as_not_given() -> None:
    empty = call(b"")
    empty.check_client_id()
    assert empty.client_id is None
    assert empty.request_id == empty.key
