"""A client of an admin interface that costs nothing to import: for `meshproxy wait` and `meshproxy request`."""

import os
import socket
import time
from typing import NamedTuple

# Where Istio's proxies have it.
DEFAULT_ADDRESS = "127.0.0.1:15000"
ADDRESS_HELP = f"admin interface: host:port or unix socket (default: $MESHPROXY_ADMIN, or {DEFAULT_ADDRESS})"


class BadAnswer(Exception):
    """What answers does not speak HTTP/1.1, or did not finish."""


class Reply(NamedTuple):
    status: int
    reason: str
    body: bytes


def admin_address() -> str:
    """$MESHPROXY_ADMIN, or where Istio has it."""
    return os.environ.get("MESHPROXY_ADMIN") or DEFAULT_ADDRESS


def ask(address: str, method: str, path: str, body: bytes = b"", timeout: float = 60.0, host: str = "") -> Reply:
    """One request on a connection of its own; `timeout` in seconds is for all of it.

    `address`: host:port, [IPv6]:port, a path or @name of a unix socket. A body goes as a form, which is all that admin
    interfaces read. Raises ValueError, OSError and BadAnswer.
    """
    if not path.startswith("/"):
        path = f"/{path}"
    if any(each <= " " or each == "\x7f" for each in method + path):
        raise ValueError(f"no method or path: {f'{method} {path}'!r}")
    head = f"{method} {path} HTTP/1.1\r\nhost: {host or 'localhost'}\r\nconnection: close\r\n"
    if body or method == "POST":
        head += f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n"
    deadline = time.monotonic() + timeout
    with _connect(address, timeout) as sock:
        sock.sendall(f"{head}\r\n".encode() + body)
        return _read(_receive(sock, deadline), method)


def _connect(address: str, timeout: float) -> socket.socket:
    if address.startswith(("/", "@")):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        try:
            sock.connect(f"\0{address[1:]}" if address[0] == "@" else address)
        except BaseException:
            sock.close()
            raise
        return sock
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"{address!r} is no address: host:port, [IPv6]:port, or the path of a unix socket")
    return socket.create_connection((host.strip("[]"), int(port)), timeout)


def _receive(sock: socket.socket, deadline: float) -> bytes:
    """Everything, until the other side closes."""
    received = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(left)
        data = sock.recv(65536)
        if not data:
            return bytes(received)
        received += data


def _read(received: bytes, method: str) -> Reply:
    head, blank, rest = received.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = line.partition(" ")
    code, _, reason = status.partition(" ")
    if not blank or not version.startswith("HTTP/1.") or len(code) != 3 or not (code.isascii() and code.isdigit()):
        raise BadAnswer("what answers there does not speak HTTP/1.1" if received else "closed without an answer")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    if method == "HEAD":
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body = _joined(rest)
    else:
        body = rest
        if len(rest) < int(headers.get("content-length", "0")):
            raise BadAnswer("the answer is cut short")
    return Reply(int(code), reason, body)


def _joined(chunks: bytes) -> bytes:
    body = bytearray()
    while True:
        line, end, chunks = chunks.partition(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            raise BadAnswer("the answer is cut short") from None
        if size == 0:
            return bytes(body)
        if not end or len(chunks) < size + 2:
            raise BadAnswer("the answer is cut short")
        body += chunks[:size]
        chunks = chunks[size + 2 :]
