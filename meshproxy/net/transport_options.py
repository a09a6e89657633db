"""What is around the bytes of a connection to an upstream: TLS, a PROXY header, or both (Envoy's transport sockets)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from meshproxy.net.tls_client import UpstreamTls


class TransportOptions(NamedTuple):
    """What a request has to say of the connection that serves it; connections with other options do not.

    server_name: SNI in place of the configured one. names: of which the peer's certificate has to have one.
    alpn: the protocols that are offered, whatever is configured. header: plain bytes that go before everything.
    """

    server_name: str = ""
    names: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
    header: bytes = b""


NO_OPTIONS = TransportOptions()


@dataclass(frozen=True, slots=True)
class Secured:
    """One connection's. tls: None for plain bytes behind the header.

    fallback_alpn: protocols that are offered where neither the configuration nor `options` names any. hostname: the
    endpoint's, which may be what SNI says.
    """

    tls: "UpstreamTls | None" = None
    options: TransportOptions = NO_OPTIONS
    fallback_alpn: tuple[str, ...] = ()
    hostname: str = ""
