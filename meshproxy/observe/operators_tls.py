"""Operators on TLS, towards the client and towards the upstream."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshproxy.observe.operators import Exchange, Getter, Value, operator, plain
from meshproxy.observe.time_format import DEFAULT, compile_time

if TYPE_CHECKING:
    from meshproxy.net.certificate import Certificate
    from meshproxy.net.tls_facts import TlsFacts

Side = Callable[[Exchange], "TlsFacts | None"]


def _downstream(stream: Exchange) -> "TlsFacts | None":
    facts: TlsFacts | None = stream.connection.tls
    return facts


def _upstream(stream: Exchange) -> "TlsFacts | None":
    connection = stream.upstream_connection
    return connection.tls if connection is not None else None


_SIDES: dict[str, Side] = {"DOWNSTREAM": _downstream, "UPSTREAM": _upstream}


def _facts(name: str, get: Callable[["TlsFacts"], Value], *sides: str) -> None:
    """Registers what is told of the connection; what is empty is missing."""

    def register(side: Side) -> Getter:
        def told(stream: Exchange) -> Value:
            facts = side(stream)
            return get(facts) or None if facts is not None else None

        return told

    for prefix in sides or _SIDES:
        plain(f"{prefix}_{name}", register(_SIDES[prefix]))


def _certificate(whose: str, name: str, get: Callable[["Certificate"], Value], *sides: str) -> None:
    """Registers what is told of a certificate: `peer` or `own`."""

    def told(facts: "TlsFacts") -> Value:
        certificate: Certificate | None = getattr(facts, whose)
        return get(certificate) if certificate is not None else None

    _facts(f"{'PEER' if whose == 'peer' else 'LOCAL'}_{name}", told, *sides)


def _chain(name: str, get: Callable[["Certificate"], str]) -> None:
    _facts(f"PEER_CHAIN_{name}", lambda facts: ",".join([get(each) for each in facts.chain]), "DOWNSTREAM")


def _joined(kind: str) -> Callable[["Certificate"], Value]:
    return lambda certificate: ",".join(certificate.names(kind))


_facts("TLS_VERSION", lambda facts: facts.version)
_facts("TLS_CIPHER", lambda facts: facts.cipher)
_facts("TLS_GROUP", lambda facts: facts.group)
_facts("TLS_SESSION_ID", lambda facts: facts.session_id)
_facts("SERVER_NAME", lambda facts: facts.server_name, "UPSTREAM")
_facts("HANDSHAKE_DURATION", lambda facts: facts.handshake_ms, "DOWNSTREAM")

for _whose in ("peer", "own"):
    _certificate(_whose, "SUBJECT", lambda each: each.subject, *(("DOWNSTREAM",) if _whose == "own" else ()))
    _certificate(_whose, "DNS_SAN", _joined("DNS"))
    _certificate(_whose, "URI_SAN", _joined("URI"))
    _certificate(_whose, "IP_SAN", _joined("IP_ADDRESS"))
    _certificate(_whose, "EMAIL_SAN", _joined("EMAIL"), "DOWNSTREAM")
    _certificate(_whose, "OTHERNAME_SAN", _joined("OTHER_NAME"), "DOWNSTREAM")
_certificate("peer", "ISSUER", lambda each: each.issuer)
_certificate("peer", "CERT", lambda each: each.quoted_pem)
_certificate("peer", "SERIAL", lambda each: each.serial, "DOWNSTREAM")
_certificate("peer", "FINGERPRINT_256", lambda each: each.sha256, "DOWNSTREAM")
_certificate("peer", "FINGERPRINT_1", lambda each: each.sha1, "DOWNSTREAM")
_chain("FINGERPRINTS_256", lambda each: each.sha256)
_chain("FINGERPRINTS_1", lambda each: each.sha1)
_chain("SERIALS", lambda each: each.serial)
_facts("PEER_ISSUER_FINGERPRINT_256", lambda facts: _issuer(facts, "sha256"), "DOWNSTREAM")
_facts("PEER_ISSUER_SERIAL", lambda facts: _issuer(facts, "serial"), "DOWNSTREAM")
plain("TLS_JA3_FINGERPRINT", lambda stream: stream.connection.ja3 or None)
plain("TLS_JA4_FINGERPRINT", lambda stream: stream.connection.ja4 or None)


def _issuer(facts: "TlsFacts", what: str) -> Value:
    issuer = facts.issuer
    return str(getattr(issuer, what)) if issuer is not None else None


@operator("DOWNSTREAM_PEER_CERT_V_START", argument="optional")
def _downstream_start(argument: str, _length: int | None) -> Getter:
    return _time(_downstream, "starts", argument)


@operator("DOWNSTREAM_PEER_CERT_V_END", argument="optional")
def _downstream_end(argument: str, _length: int | None) -> Getter:
    return _time(_downstream, "ends", argument)


@operator("UPSTREAM_PEER_CERT_V_START", argument="optional")
def _upstream_start(argument: str, _length: int | None) -> Getter:
    return _time(_upstream, "starts", argument)


@operator("UPSTREAM_PEER_CERT_V_END", argument="optional")
def _upstream_end(argument: str, _length: int | None) -> Getter:
    return _time(_upstream, "ends", argument)


def _time(side: Side, which: str, argument: str) -> Getter:
    """When the peer's certificate begins or ends to be valid."""
    form = compile_time(argument or DEFAULT)

    def get(stream: Exchange) -> Value:
        facts = side(stream)
        peer: Any = facts.peer if facts is not None else None
        return form(getattr(peer, which)) if peer is not None else None

    return get
