"""How Faust reaches secured brokers: what librdkafka is told, said once more for aiokafka."""

import ssl
from collections.abc import Mapping

from faust.auth import SASLCredentials, SSLCredentials

from atalaia.errors import SettingsError

_KNOWN = {
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
}
_SECURITY = ("security.", "sasl.", "ssl.", "enable.ssl.", "enable.sasl.")
_MECHANISMS = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}


def credentials_of(client: Mapping[str, str]) -> SASLCredentials | SSLCredentials | None:
    """The credentials in librdkafka's properties; None for plain text.

    Raises
    ------
    SettingsError
        naming the property that has no counterpart.

    >>> credentials_of({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
    ...                 "sasl.username": "u", "sasl.password": "p"}).username
    'u'
    """
    unknown = sorted(name for name in client if name.startswith(_SECURITY) and name not in _KNOWN)
    if unknown:
        raise SettingsError(
            f"ATALAIA_KAFKA__CLIENT: {', '.join(unknown)} cannot be told to the monitors' client; "
            f"it knows {', '.join(sorted(_KNOWN))}"
        )
    protocol = client.get("security.protocol", "plaintext").upper()
    context = _context(client) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL_"):
        mechanism = client.get("sasl.mechanism", client.get("sasl.mechanisms", "GSSAPI"))
        if mechanism not in _MECHANISMS:
            raise SettingsError(
                f"ATALAIA_KAFKA__CLIENT: sasl.mechanism {mechanism} cannot be told to the monitors' client; "
                f"expected one of {', '.join(sorted(_MECHANISMS))}"
            )
        return SASLCredentials(
            username=client.get("sasl.username"),
            password=client.get("sasl.password"),
            ssl_context=context,
            mechanism=mechanism,
        )
    return None if context is None else SSLCredentials(context)


def _context(client: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=client.get("ssl.ca.location"))
        if "ssl.certificate.location" in client:
            context.load_cert_chain(
                client["ssl.certificate.location"],
                client.get("ssl.key.location"),
                client.get("ssl.key.password"),
            )
    except OSError as error:
        raise SettingsError(f"ATALAIA_KAFKA__CLIENT: certificates cannot be read: {error}") from error
    if client.get("ssl.endpoint.identification.algorithm") == "none":
        context.check_hostname = False
    if client.get("enable.ssl.certificate.verification") == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
