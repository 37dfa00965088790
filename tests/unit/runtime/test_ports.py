import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from atalaia.errors import PortTaken, SettingsError
from atalaia.runtime.ports import claim_port, free_port, is_free


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", free_port()))
        server.listen()
        yield server


def test_a_taken_port_is_an_error_that_names_the_setting(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(PortTaken, match=rf"port {port} .*ATALAIA_KAFKA__PORT"):
        claim_port(port, setting="ATALAIA_KAFKA__PORT", patience_seconds=0)


def test_a_port_with_connections_of_the_past_is_free(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as client:
        accepted, _ = listener.accept()
        # Whoever closes first keeps the connection in TIME_WAIT: here the server's side.
        accepted.close()
        assert client.recv(1) == b""
    listener.close()
    assert claim_port(port, setting="ANY", patience_seconds=0) == port


def test_zero_is_a_free_port_that_no_outgoing_connection_can_take() -> None:
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [claim_port(0, setting="ANY") for _ in range(20)]
    assert len(set(ports)) == 20
    assert all(1024 < port < lowest_ephemeral and is_free(port) for port in ports)


def test_an_address_of_another_machine_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1:20000.*address of this machine"):
        is_free(20_000, "192.0.2.1")
