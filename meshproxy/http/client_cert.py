"""x-forwarded-client-cert: what upstreams are told of the client's certificate (Envoy's header of that name).

One element is made for each connection, when its first request asks; requests behind it cost a look-up.
"""

import json
from typing import TYPE_CHECKING, Any

from meshproxy.http.request_steps import Step

if TYPE_CHECKING:
    from meshproxy.http.stream import Stream
    from meshproxy.net.tls_facts import TlsFacts

HEADER = "x-forwarded-client-cert"


def forward_only() -> Step:
    """FORWARD_ONLY: what the client says is passed on if the client has shown a certificate."""

    def step(stream: "Stream") -> None:
        if _shown(stream) is None:
            stream.request.remove(HEADER)

    return step


def tell(details: tuple[str, ...], *, append: bool, as_json: bool) -> Step:
    """APPEND_FORWARD, or SANITIZE_SET. details: of cert, chain, subject, uri, dns, issuer, in this order."""

    def step(stream: "Stream") -> None:
        request = stream.request
        facts = _shown(stream)
        if facts is None:
            request.remove(HEADER)
            return
        told = facts.forwarded
        if told is None:
            pairs = _pairs(facts, details)
            told = facts.forwarded = _text(pairs), _json(pairs) if as_json else ""
        before = request.get(HEADER) if append else None
        if as_json and (not before or (before.startswith("[") and before.endswith("]"))):
            inner = before[1:-1].strip() if before else ""
            request.set(HEADER, f"[{inner},{told[1]}]" if inner else f"[{told[1]}]")
        else:
            request.set(HEADER, f"{before},{told[0]}" if before else told[0])

    return step


def _shown(stream: "Stream") -> "TlsFacts | None":
    """What is known of a connection on which the client has shown a certificate."""
    facts: TlsFacts | None = stream.connection.tls
    return facts if facts is not None and facts.peer is not None else None


# Key, and its value: text, or all the values that there are.
Pairs = list[tuple[str, Any]]


def _pairs(facts: "TlsFacts", details: tuple[str, ...]) -> Pairs:
    peer, own = facts.peer, facts.own
    assert peer is not None
    values: dict[str, Any] = {
        "cert": lambda: peer.quoted_pem,
        "chain": lambda: "".join([each.quoted_pem for each in facts.chain]),
        "subject": lambda: peer.subject,
        "uri": lambda: peer.names("URI"),
        "dns": lambda: peer.names("DNS"),
        "issuer": lambda: peer.issuer,
    }
    by = own.names("URI") if own is not None else ()
    return [("by", by), ("hash", peer.sha256), *((name, values[name]()) for name in details)]


_KEYS = {"by": "By", "hash": "Hash", "cert": "Cert", "chain": "Chain", "subject": "Subject", "uri": "URI", "dns": "DNS",
         "issuer": "Issuer"}  # fmt: skip


def _text(pairs: Pairs) -> str:
    parts = []
    for name, value in pairs:
        key = _KEYS[name]
        if isinstance(value, tuple):
            parts += [f"{key}={each}" for each in value]
            if not value and name == "uri":
                # It is there even if there is none.
                parts.append("URI=")
        else:
            parts.append(f"{key}={value}" if name == "hash" else f'{key}="{value}"')
    return ";".join(parts)


def _json(pairs: Pairs) -> str:
    return json.dumps({name: value for name, value in pairs if value}, separators=(",", ":"))
