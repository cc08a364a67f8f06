"""Whom an account's passkeys are for: derived from the trust root's host, by rule."""

import pytest

from crypto.wire.passkeys import RelyingParty


@pytest.mark.parametrize(
    ("host", "party"),
    [
        ("vault.example", ("vault.example", "https://vault.example")),
        ("vault.example:8443", ("vault.example", "https://vault.example:8443")),
        ("192.0.2.7", ("192.0.2.7", "https://192.0.2.7")),
        ("localhost", ("localhost", "http://localhost")),
        ("localhost:8765", ("localhost", "http://localhost:8765")),
        ("127.0.0.1:8765", ("localhost", "http://localhost:8765")),
        ("127.9.9.9", ("localhost", "http://localhost")),
        ("localhost.example", ("localhost.example", "https://localhost.example")),
        ("127.0.0.1.example", ("127.0.0.1.example", "https://127.0.0.1.example")),
    ],
)
def test_only_this_machine_is_called_localhost(host, party):
    """A name keeps its port and is asked for over TLS; without TLS nothing but a loopback address is."""
    assert RelyingParty.of(host) == party
