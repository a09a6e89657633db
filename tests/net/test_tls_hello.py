"""Reading a ClientHello: whole, in parts, and whatever else may arrive."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.net.tls_hello import ClientHello, NotTls, parse_client_hello


def client_hello(server_name: str, alpn: list[str]) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(alpn)
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


HELLO = client_hello("Www.example.com", ["h2", "http/1.1"])
EXPECTED = ClientHello("www.example.com", ("h2", "http/1.1"))


def test_every_beginning_waits_for_more() -> None:
    for end in range(len(HELLO)):
        assert parse_client_hello(HELLO[:end]) is None
    assert parse_client_hello(HELLO) == EXPECTED
    assert parse_client_hello(HELLO + b"what follows") == EXPECTED


def test_hello_over_several_records() -> None:
    message = HELLO[5:]
    parts = [message[at : at + 50] for at in range(0, len(message), 50)]
    records = b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)
    assert parse_client_hello(records) == EXPECTED


def test_hello_without_extensions() -> None:
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    assert parse_client_hello(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message) == ClientHello("", ())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x02\x00\x00\x05hello",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",  # another handshake message
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",  # cut inside the version
    ],
)
def test_what_is_not_a_hello(data: bytes) -> None:
    with pytest.raises(NotTls):
        parse_client_hello(data)


@given(st.binary(max_size=200), st.integers(0, len(HELLO)), st.integers(0, len(HELLO)))
def test_damage_never_does_more_than_not_be_tls(noise: bytes, start: int, end: int) -> None:
    try:
        parse_client_hello(HELLO[:start] + noise + HELLO[end:])
    except NotTls:
        pass
