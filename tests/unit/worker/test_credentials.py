"""What librdkafka is told of security reaches the other client too, or is refused by name."""

import pytest
from faust.auth import SASLCredentials, SSLCredentials

from atalaia.errors import SettingsError
from atalaia.worker.credentials import credentials_of


def test_plain_text_needs_none() -> None:
    assert credentials_of({}) is None
    assert credentials_of({"security.protocol": "plaintext", "linger.ms": "5"}) is None


def test_a_password_over_tls() -> None:
    credentials = credentials_of(
        {
            "security.protocol": "sasl_ssl",
            "sasl.mechanisms": "SCRAM-SHA-512",
            "sasl.username": "somebody",
            "sasl.password": "secret",
            "ssl.endpoint.identification.algorithm": "none",
        }
    )
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.username, credentials.password) == ("somebody", "secret")
    assert credentials.mechanism.value == "SCRAM-SHA-512"
    assert credentials.protocol.value == "SASL_SSL"
    assert credentials.ssl_context is not None
    assert not credentials.ssl_context.check_hostname


def test_tls_alone() -> None:
    credentials = credentials_of({"security.protocol": "ssl"})
    assert isinstance(credentials, SSLCredentials)
    assert credentials.context.check_hostname


@pytest.mark.parametrize(
    ("client", "named"),
    [
        ({"sasl.oauthbearer.config": "x"}, "sasl.oauthbearer.config"),
        ({"security.protocol": "sasl_plaintext"}, "GSSAPI"),
        ({"security.protocol": "ssl", "ssl.ca.location": "/nowhere/ca.pem"}, "certificates cannot be read"),
    ],
)
def test_what_cannot_be_told_is_refused_by_name(client: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        credentials_of(client)
