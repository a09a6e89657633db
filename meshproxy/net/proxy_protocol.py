"""Writing the PROXY header that tells a peer who the client is (HAProxy's proxy-protocol.txt)."""

import socket

Address = tuple[str, int]

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY = b"\x21"
_LOCAL = b"\x20"
_TCP4, _TCP6, _UNSPECIFIED = b"\x11", b"\x21", b"\0"


def proxy_header(version: int, peer: Address, local: Address) -> bytes:
    """version: 1 or 2. peer: the client; local: where it connected to. Other addresses than IP are not told."""
    families = {_family(peer), _family(local)}
    family = families.pop() if len(families) == 1 else None
    return _text(family, peer, local) if version == 1 else _binary(family, peer, local)


def _text(family: int | None, peer: Address, local: Address) -> bytes:
    if family is None:
        return b"PROXY UNKNOWN\r\n"
    name = "TCP4" if family == socket.AF_INET else "TCP6"
    return f"PROXY {name} {peer[0]} {local[0]} {peer[1]} {local[1]}\r\n".encode("ascii")


def _binary(family: int | None, peer: Address, local: Address) -> bytes:
    if family is None:
        return _SIGNATURE + _LOCAL + _UNSPECIFIED + b"\0\0"
    body = b"".join([socket.inet_pton(family, host) for host, _ in (peer, local)])
    body += b"".join([port.to_bytes(2, "big") for _, port in (peer, local)])
    kind = _TCP4 if family == socket.AF_INET else _TCP6
    return _SIGNATURE + _PROXY + kind + len(body).to_bytes(2, "big") + body


def _family(address: Address) -> int | None:
    host = address[0]
    if host.startswith(("/", "@")) or not host:
        return None
    return socket.AF_INET6 if ":" in host else socket.AF_INET
