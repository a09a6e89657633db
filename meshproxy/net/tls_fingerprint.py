"""Fingerprints of a TLS hello, as Envoy makes them: JA3 (github.com/salesforce/ja3), JA4 (github.com/FoxIO-LLC/ja4)."""

import hashlib
from dataclasses import dataclass, field

from meshproxy.net.tls_hello import NotTls, Reader, hello_message

_SERVER_NAME, _GROUPS, _FORMATS, _SIGNATURES, _ALPN, _VERSIONS = 0, 10, 11, 13, 16, 43
# Made up by clients so that servers learn to ignore what they do not know (RFC 8701).
_GREASE = frozenset(0x0A0A + 0x1010 * i for i in range(16))
_SHOWN_VERSIONS = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3"}
_NONE = "000000000000"


@dataclass(slots=True)
class _Hello:
    """Numbers as they stand there, without those that are made up."""

    version: int
    ciphers: list[int]
    extensions: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    formats: list[int] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    alpn: bytes = b""


def ja3(data: bytes) -> str:
    """data: a whole hello. "" for what is none."""
    hello = _read(data)
    if hello is None:
        return ""
    lists = (hello.ciphers, hello.extensions, hello.groups, hello.formats)
    text = ",".join([str(hello.version), *("-".join(map(str, numbers)) for numbers in lists)])
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def ja4(data: bytes) -> str:
    hello = _read(data)
    if hello is None:
        return ""
    version = _SHOWN_VERSIONS.get(max(hello.versions, default=hello.version), "00")
    named = "d" if _SERVER_NAME in hello.extensions else "i"
    counts = f"{min(len(hello.ciphers), 99):02}{min(len(hello.extensions), 99):02}"
    ciphers = ",".join(sorted(f"{cipher:04x}" for cipher in hello.ciphers))
    others = sorted(f"{each:04x}" for each in hello.extensions if each not in (_SERVER_NAME, _ALPN))
    more = ",".join(others)
    if hello.signatures:
        more += "_" + ",".join(f"{each:04x}" for each in hello.signatures)
    return f"t{version}{named}{counts}{_ends(hello.alpn)}_{_short(ciphers)}_{_short(more if others else '')}"


def _ends(protocol: bytes) -> str:
    """The first and the last character of the first protocol; of its hexadecimal form where they are no letters."""
    if not protocol:
        return "00"
    ends = chr(protocol[0]) + chr(protocol[-1])
    if ends.isascii() and ends.isalnum():
        return ends
    return protocol.hex()[0] + protocol.hex()[-1]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else _NONE


def _read(data: bytes) -> _Hello | None:
    try:
        message = hello_message(data)
        return None if message is None else _parse(Reader(message))
    except NotTls:
        return None


def _parse(hello: Reader) -> _Hello:
    version = hello.number(2)
    hello.take(32)  # random
    hello.vector(1)  # session id
    found = _Hello(version, _numbers(hello.vector(2)))
    hello.vector(1)  # compression methods
    if not hello.left:
        return found
    extensions = hello.vector(2)
    while extensions.left:
        kind = extensions.number(2)
        body = extensions.vector(2)
        if kind in _GREASE:
            continue
        found.extensions.append(kind)
        if kind == _GROUPS:
            found.groups = _numbers(body.vector(2))
        elif kind == _FORMATS:
            found.formats = list(body.vector(1).rest())
        elif kind == _SIGNATURES:
            found.signatures = _numbers(body.vector(2))
        elif kind == _VERSIONS:
            found.versions = _numbers(body.vector(1))
        elif kind == _ALPN:
            found.alpn = body.vector(2).vector(1).rest()
    return found


def _numbers(of: Reader) -> list[int]:
    found = []
    while of.left:
        number = of.number(2)
        if number not in _GREASE:
            found.append(number)
    return found
