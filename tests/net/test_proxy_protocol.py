"""The PROXY header as it goes out."""

import socket

import pytest

from meshproxy.net.proxy_protocol import proxy_header

V4 = (("10.0.0.1", 1234), ("10.0.0.2", 80))
V6 = (("::1", 1234), ("::2", 80))
OTHER = (("/run/s", 0), ("10.0.0.2", 80))
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


@pytest.mark.parametrize(
    ("addresses", "line"),
    [
        (V4, b"PROXY TCP4 10.0.0.1 10.0.0.2 1234 80\r\n"),
        (V6, b"PROXY TCP6 ::1 ::2 1234 80\r\n"),
        (OTHER, b"PROXY UNKNOWN\r\n"),
    ],
)
def test_version_1(addresses: tuple[tuple[str, int], tuple[str, int]], line: bytes) -> None:
    assert proxy_header(1, *addresses) == line


@pytest.mark.parametrize(
    ("addresses", "rest"),
    [
        (V4, b"\x21\x11\x00\x0c" + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + b"\x04\xd2\x00\x50"),
        (V6, b"\x21\x21\x00\x24" + socket.inet_pton(socket.AF_INET6, "::1") + socket.inet_pton(socket.AF_INET6, "::2")
         + b"\x04\xd2\x00\x50"),
        (OTHER, b"\x20\x00\x00\x00"),
    ],
)  # fmt: skip
def test_version_2(addresses: tuple[tuple[str, int], tuple[str, int]], rest: bytes) -> None:
    assert proxy_header(2, *addresses) == SIGNATURE + rest
