"""The PROXY protocol: what Envoy takes, what it refuses, and what is left of the connection."""

import socket
import struct
from typing import Any

import pytest

from tests.downstream.serving import ECHO, Serving, listening, looped, network, read, read_all, send, serving, until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n"
BODY4 = socket.inet_aton("1.2.3.4") + socket.inet_aton("5.6.7.8") + struct.pack("!HH", 1111, 2222)
BODY6 = socket.inet_pton(socket.AF_INET6, "1::2") + socket.inet_pton(socket.AF_INET6, "3::4") + struct.pack("!HH", 5, 6)


def v2(command: int = 0x21, kind: int = 0x11, body: bytes = BODY4, tlvs: bytes = b"", size: int | None = None) -> bytes:
    size = len(body + tlvs) if size is None else size
    return SIGNATURE + bytes([command, kind]) + struct.pack("!H", size) + body + tlvs


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + struct.pack("!H", len(value)) + value


def state(key: str, text: str) -> dict[str, Any]:
    source = {"text_format_source": {"inline_string": text}}
    setter = {"object_key": key, "factory_key": "envoy.string", "format_string": source}
    return network("set_filter_state", "Config", on_new_connection=[setter])


def filter_(served: Serving) -> Any:
    return served.listener.listener_filters[0]


async def seen_of(header: bytes, **options: Any) -> tuple[tuple[str, int], tuple[str, int], Any]:
    """Peer, local address and metadata of a connection that starts with `header`."""
    proxy = listening("proxy_protocol", "ProxyProtocol", **options)
    async with serving(ECHO, listener_filters=[proxy]) as served:
        found: list[Any] = []
        choose = served.listener.choose
        served.listener.choose = lambda connection: found.append(connection) or choose(connection)  # type: ignore
        with await served.connect() as client:
            await send(client, header + b"data")
            assert await read(client, 4) == b"data"
    return found[0].peer, found[0].local, found[0].metadata


@pytest.mark.parametrize(
    ("header", "peer", "local"),
    [
        (V1, ("1.2.3.4", 1111), ("5.6.7.8", 2222)),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 01 0\r\n", ("1.2.3.4", 1), ("5.6.7.8", 0)),
        (b"PROXY TCP6 1::2 3::4 5 6\r\n", ("1::2", 5), ("3::4", 6)),
        (v2(), ("1.2.3.4", 1111), ("5.6.7.8", 2222)),
        (v2(kind=0x21, body=BODY6), ("1::2", 5), ("3::4", 6)),
        (v2(tlvs=tlv(1, b"h2") + tlv(4, b"\0" * 1000)), ("1.2.3.4", 1111), ("5.6.7.8", 2222)),
    ],
)
@looped
async def test_addresses_come_from_the_header(header: bytes, peer: Any, local: Any) -> None:
    assert await seen_of(header) == (peer, local, None)


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN what ever\r\n", v2(command=0x20, kind=0, body=b""), v2(command=0x20)],
)
@looped
async def test_the_sender_may_speak_for_itself(header: bytes) -> None:
    peer, local, _ = await seen_of(header)
    assert peer[0] == local[0] == "127.0.0.1"


@looped
async def test_rules_turn_tlvs_into_metadata() -> None:
    rules = [
        {"tlv_type": 2, "on_tlv_present": {"key": "authority"}},
        {"tlv_type": 3, "on_tlv_present": {"key": "k", "metadata_namespace": "ns"}},
        {"tlv_type": 3, "on_tlv_present": {"key": "b", "metadata_namespace": "ns", "value_string_encoding": "BASE64"}},
    ]
    tlvs = tlv(2, b"first") + tlv(3, b"\xff\x80z") + tlv(2, b"second")
    _, _, metadata = await seen_of(v2(tlvs=tlvs), rules=rules)
    own = {"authority": "first"}
    assert metadata == {"envoy.filters.listener.proxy_protocol": own, "ns": {"k": "!!z", "b": "/4B6"}}


BAD = [
    (1, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\nxxxxxxxx"),
    (1, b"PROXY TCP4 1.2.3.4 5.6.7.8 -1 5\r\nxxxxxxxx"),
    (1, b"PROXY TCP4 1.2.3.4 5.6.7.8 1_0 5\r\nxxxxxxxx"),
    (1, "PROXY TCP4 1.2.3.4 5.6.7.8 \u00b2 5\r\nxxxxxxxx".encode("latin-1")),
    (1, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 5 6\r\nxxxxxxxx"),
    (1, b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\nxxxxxxxx"),
    (1, b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\nxxxxxxxx"),
    (1, b"PROXY TCP4 1::2 5.6.7.8 1 2\r\nxxxxxxxx"),
    (1, b"PROXY TCP4 255.255.255.255 5.6.7.8 1 2\r\nxxxxxxxx"),
    (1, b"PROXY TCP4 0.0.0.0 5.6.7.8 1 2\r\nxxxxxxxx"),
    (1, b"PROXY TCP4 224.0.0.1 5.6.7.8 1 2\r\nxxxxxxxx"),
    (1, b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\nxxxxxxxx"),
    (1, b"PROXY TCP4 " + b"1" * 200),
    (2, v2(kind=0x12)),
    (2, v2(kind=0x31, body=b"a" * 216)),
    (2, v2(kind=0, body=b"a" * 12)),
    (2, v2(command=0x22)),
    (2, v2(command=0x11)),
    (2, v2(size=5)),
    (2, v2(tlvs=b"\x02\x00\x09abc")),
    (2, v2(tlvs=b"\x02\x00")),
    (2, v2(body=b"\0" * 12)),
]


@pytest.mark.parametrize(("version", "header"), BAD)
@looped
async def test_malformed_headers_are_refused(version: int, header: bytes) -> None:
    async with serving(ECHO, listener_filters=[listening("proxy_protocol", "ProxyProtocol")]) as served:
        with pytest.raises(ConnectionResetError):
            await served.ask(header)
        assert filter_(served).version_stats[version].error == 1
        assert served.listener.stats.downstream_cx_total == 0


@looped
async def test_header_may_come_in_single_bytes() -> None:
    async with serving(ECHO, listener_filters=[listening("proxy_protocol", "ProxyProtocol")]) as served:
        for header in (V1, v2(tlvs=tlv(2, b"abc"))):
            with await served.connect() as client:
                for at in range(len(header)):
                    await send(client, header[at : at + 1])
                await send(client, b"data")
                assert await read(client, 4) == b"data"


@looped
async def test_without_a_header_the_connection_is_refused_or_taken_as_it_is() -> None:
    request = b"GET / HTTP/1.1\r\n\r\n"
    async with serving(ECHO, listener_filters=[listening("proxy_protocol", "ProxyProtocol")]) as served:
        with pytest.raises(ConnectionResetError):
            await served.ask(request)
        assert filter_(served).stats.not_found_disallowed == 1
    optional = listening("proxy_protocol", "ProxyProtocol", allow_requests_without_proxy_protocol=True)
    async with serving(ECHO, listener_filters=[optional]) as served:
        with await served.connect() as client:
            await send(client, request)
            assert await read(client, len(request)) == request
        assert filter_(served).stats.not_found_allowed == 1


@looped
async def test_versions_may_be_disallowed() -> None:
    proxy = listening("proxy_protocol", "ProxyProtocol", disallowed_versions=["V2"])
    async with serving(ECHO, listener_filters=[proxy]) as served:
        with pytest.raises(ConnectionResetError):
            await served.ask(v2() + b"data")
        assert filter_(served).version_stats[2].disallowed == 1
        with await served.connect() as client:
            await send(client, V1 + b"data")
            assert await read(client, 4) == b"data"


@looped
async def test_the_next_filter_sees_what_follows_the_header() -> None:
    filters = [listening("proxy_protocol", "ProxyProtocol"), listening("http_inspector", "HttpInspector")]
    async with serving(ECHO, listener_filters=filters) as served:
        with await served.connect() as client:
            await send(client, V1)
            await until(lambda: filter_(served).version_stats[1].found)
            await send(client, b"GET / HTTP/1.0\r\n")
            assert await read(client, 16) == b"GET / HTTP/1.0\r\n"
        assert served.listener.listener_filters[1].stats.http10_found == 1  # type: ignore[attr-defined]


@looped
async def test_client_that_stops_in_the_header() -> None:
    async with serving(ECHO, listener_filters=[listening("proxy_protocol", "ProxyProtocol")]) as served:
        client = await served.connect()
        with client, pytest.raises(ConnectionResetError):
            await send(client, b"PROXY TC")
            client.shutdown(socket.SHUT_WR)
            await read_all(client)
        assert served.listener.stats.downstream_listener_filter_remote_close == 1
