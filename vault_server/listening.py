"""Where a program listens, and what that demands: plain HTTP stays on this computer, elsewhere there is TLS."""

import errno
import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from crypto.errors import NotPermitted, Unavailable


@dataclass(frozen=True)
class Listening:
    """Address and TLS of one program. ``behind_proxy``: something in front of it speaks TLS. Port 0 takes a free one."""

    port: int
    host: str = "127.0.0.1"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False

    def check(self, program: str) -> None:
        """Raises NotPermitted unless what is sent is protected on its way."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise NotPermitted(f"The {program} was not started: --tls-cert and --tls-key belong together.")
        if self.tls_cert is not None or self.behind_proxy or is_this_computer(self.host):
            return
        raise NotPermitted(
            f"The {program} was not started: {self.host} can be reached from outside and would be served without TLS. "
            "Give --tls-cert and --tls-key, or --behind-proxy when a proxy in front of it speaks TLS."
        )

    def opened(self, program: str) -> socket.socket:
        """The socket. Raises Unavailable, saying why, when nobody can listen there, or not with that certificate."""
        self._check_certificate(program)
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=2048)
        except OSError as error:
            why = f"{error.strerror}. Choose another --host or --port."
            if error.errno == errno.EADDRINUSE:
                why = "it is taken. Stop what listens there, or choose another --port."
            raise Unavailable(
                f"The {program} was not started: it cannot listen on {self.host} port {self.port}: {why}"
            ) from None

    def _check_certificate(self, program: str) -> None:
        if self.tls_cert is None:
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key)
        except OSError as error:
            why = (
                "one is not in PEM, or not of the other"
                if isinstance(error, ssl.SSLError)
                else error.strerror
            )
            raise Unavailable(
                f"The {program} was not started: {self.tls_cert} and {self.tls_key} are not a certificate and its key "
                f"that it can use ({why}). Give others as --tls-cert and --tls-key."
            ) from None

    def url(self, port: int) -> str:
        """The address of what listens there on ``port``."""
        return f"{'http' if self.tls_cert is None else 'https'}://{bracketed(self.host)}:{port}"


def is_this_computer(host: str) -> bool:
    """Whether ``host`` can only be this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bracketed(host: str) -> str:
    """``host`` as it stands before a port."""
    return f"[{host}]" if ":" in host else host
