"""What tls_inspector and http_inspector tell the filter chain match."""

import ssl
from typing import Any

import pytest

from meshproxy.filters.listener.http_inspector import find_protocol
from tests.downstream.serving import listening, looped, says, serving

TLS = listening("tls_inspector", "TlsInspector")
HTTP = listening("http_inspector", "HttpInspector")


def client_hello(server_name: str | None = None, alpn: list[str] | None = None) -> bytes:
    """What Python's TLS sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(alpn)
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def chain(answer: str, **match: Any) -> dict[str, Any]:
    return {"filter_chain_match": match, "filters": [says(answer)]}


CHAINS = [
    chain("name", server_names=["www.example.com"]),
    chain("below", server_names=["*.example.com"]),
    chain("h2", transport_protocol="tls", application_protocols=["h2"]),
    chain("tls", transport_protocol="tls"),
    chain("http", transport_protocol="raw_buffer", application_protocols=["http/1.1", "http/1.0"]),
    chain("h2c", transport_protocol="raw_buffer", application_protocols=["h2c"]),
    chain("raw", transport_protocol="raw_buffer"),
]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (client_hello("www.example.com"), b"name"),
        (client_hello("WWW.Example.com"), b"name"),
        (client_hello("api.example.com"), b"below"),
        (client_hello("other.org", ["http/1.1", "h2"]), b"h2"),
        (client_hello(), b"tls"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"http"),
        (b"GET / HTTP/1.0\r\n\r\n", b"http"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"h2c"),
        (b"GET / http/3\r\n\r\n", b"raw"),
        (b"\0\1\2\3\4\5 binary", b"raw"),
    ],
)
@looped
async def test_chain_is_chosen_by_the_first_bytes(sent: bytes, answer: bytes) -> None:
    async with serving(filter_chains=CHAINS, listener_filters=[TLS, HTTP]) as served:
        found = b""
        with await served.connect() as client:
            await served.loop.sock_sendall(client, sent)
            found = await served.loop.sock_recv(client, 100)
    assert found == answer


@looped
async def test_counts_what_it_finds() -> None:
    async with serving(says("x"), listener_filters=[TLS]) as served:
        stats: Any = served.listener.listener_filters[0].stats  # type: ignore[attr-defined]
        for sent in (client_hello("a.example", ["h2"]), client_hello(), b"plain text"):
            with await served.connect() as client:
                await served.loop.sock_sendall(client, sent)
                assert await served.loop.sock_recv(client, 1) == b"x"
        assert (stats.tls_found, stats.tls_not_found) == (2, 1)
        assert (stats.sni_found, stats.sni_not_found) == (1, 1)
        assert (stats.alpn_found, stats.alpn_not_found) == (1, 1)


@looped
async def test_hello_that_never_ends_is_refused() -> None:
    endless = b"\x16\x03\x01\x40\x00\x01\x00\xff\xff" + b"x" * 20_000
    async with serving(says("x"), listener_filters=[TLS]) as served:
        with pytest.raises(ConnectionResetError):
            await served.ask(endless)
        assert served.listener.listener_filters[0].stats.client_hello_too_large == 1  # type: ignore[attr-defined]


@looped
async def test_plain_text_can_be_refused() -> None:
    strict = listening("tls_inspector", "TlsInspector", close_connection_on_client_hello_parsing_errors=True)
    async with serving(says("x"), listener_filters=[strict]) as served:
        with pytest.raises(ConnectionResetError):
            await served.ask(b"plain text")


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        (b"", None),
        (b"PRI * HT", None),
        (b"GET / HTT", None),
        (b"PRI * HTTP/1.1\r\n", "http/1.1"),
        (b"G(T / HTTP/1.1\r\n", ""),
        (b" GET / HTTP/1.1\r\n", ""),
        (b"GET\r\n", ""),
        (b"GET  /\tHTTP/1.1 \r\n", "http/1.1"),
        (b"GET /\n", "http/1.0"),
        (b"GET /\xff HTTP/1.1\r\n", ""),
        (b"hello world\r\n", ""),
        (b"CONNECT a:1 HTTP/1.1\r\n", "http/1.1"),
    ],
)
def test_first_line(data: bytes, protocol: str | None) -> None:
    assert find_protocol(data) == protocol
