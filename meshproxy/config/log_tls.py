"""What entries of access logs say of TLS towards the client (envoy.data.accesslog.v3.TLSProperties)."""

import ssl
from functools import cache
from typing import TYPE_CHECKING, Any

from meshproxy.config.structs import utf8
from meshproxy.observe.operators import Exchange

if TYPE_CHECKING:
    from meshproxy.net.certificate import Certificate

_VERSIONS = {"TLSv1": 1, "TLSv1.1": 2, "TLSv1.2": 3, "TLSv1.3": 4}


def fill_tls(exchange: Exchange, common: Any) -> None:
    """Nothing where the client speaks no TLS."""
    connection = exchange.connection
    facts = connection.tls
    if facts is None:
        return
    properties = common.tls_properties
    properties.tls_sni_hostname = utf8(connection.server_name or facts.server_name)
    _fill_certificate(properties.local_certificate_properties, facts.own)
    peer = facts.peer
    _fill_certificate(properties.peer_certificate_properties, peer)
    if peer is not None:
        properties.peer_certificate_properties.issuer = utf8(peer.issuer)
    properties.tls_session_id = facts.session_id
    properties.tls_version = _VERSIONS.get(facts.version, 0)
    properties.tls_cipher_suite.value = _cipher_numbers().get(facts.cipher, 0xFFFF)


def _fill_certificate(message: Any, certificate: "Certificate | None") -> None:
    message.SetInParent()
    if certificate is None:
        return
    # As in Envoy, of its names only URIs are told.
    for name in certificate.names("URI"):
        message.subject_alt_name.add().uri = utf8(name)
    message.subject = utf8(certificate.subject)


@cache
def _cipher_numbers() -> dict[str, int]:
    """IANA's numbers, by OpenSSL's names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {str(cipher["name"]): int(cipher["id"]) & 0xFFFF for cipher in context.get_ciphers()}
