"""Access logs and stats over gRPC: what a server of them (grpcio) is sent by Envoy, and by us."""

import asyncio
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from tests.kit import pki
from tests.kit.telemetry_server import Telemetry, telemetry_server
from tests.parity.proxies import Proxy, find_envoy

pytestmark = pytest.mark.skipif(find_envoy() is None, reason="no Envoy here to ask")

CONFIG = Path(__file__).with_name("telemetry.yaml")
REQUESTS = (
    b"GET /direct?q=1 HTTP/1.1\r\nhost: Example:80\r\nx-a: a\r\nx-many: 1\r\nx-many: 2\r\nx-bytes: \xc3\xa9\xe9\xff\r\n"
    b"user-agent: ua\r\nreferer: http://r/\r\n\r\n",
    b"POST /origin HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nx-forwarded-for: 10.1.2.3\r\n\r\nhello",
    b"GET /refused HTTP/1.1\r\nhost: a\r\n\r\n",
    b"BAD\r\n\r\n",
    b"DELETE /nowhere HTTP/1.1\r\nhost: a\r\n\r\n",
)
# What differs from run to run, by the name of its field.
CHANCE = re.compile(
    r"start_time|tls_session_id|time_to_.*|time_unix_nano|duration|stream_id|request_id|.*_wire_bytes_.*|.*_ms|extensions|user_agent_.*"
    # An answer says how many milliseconds it took, in one digit or two.
    r"|response_headers_bytes|downstream_header_bytes_sent"
)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if b"content-length: 5" in head:
        await reader.readexactly(5)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await writer.drain()
    await reader.read()
    writer.close()


async def exchange(port: int, data: bytes, tls: ssl.SSLContext | None = None) -> None:
    """And waits for the whole answer."""
    name = "example.com" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    writer.write(data)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
    writer.close()
    await writer.wait_closed()


def client_of(certificates: Path) -> ssl.SSLContext:
    """One version and cipher suite, so that both proxies have the same to tell."""
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    return context


async def see(kind: str, folder: Path, server: Telemetry) -> None:
    folder.mkdir()
    origin = await asyncio.start_server(_answer, "127.0.0.1", 0)
    certificates = pki.write(folder / "pki", ("ca", "server", "client"))
    ports = {"origin": origin.sockets[0].getsockname()[1], "telemetry": server.port, "pki": certificates}
    proxy = Proxy(kind, folder)
    await proxy.start(json.dumps(yaml.safe_load(Template(CONFIG.read_text()).substitute(ports))))
    try:
        listeners = json.loads(await proxy.ask("/listeners?format=json"))["listener_statuses"]
        port = {each["name"]: each["local_address"]["socket_address"]["port_value"] for each in listeners}
        for data in REQUESTS:
            await exchange(port["http"], data)
        await exchange(port["tls"], REQUESTS[0], client_of(certificates))
        await exchange(port["tcp"], b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        async with asyncio.timeout(20):
            count = len(REQUESTS) + 1
            while len(entries(server)) < count + 2 or len(records(server)) < count or not told(server):
                await asyncio.sleep(0.01)
    finally:
        await proxy.stop()
        origin.close()


def entries(server: Telemetry) -> list[Any]:
    streams = [[*stream] for stream in server.logs if stream]
    streams.sort(key=lambda stream: str(stream[0]["identifier"]["log_name"]))
    return [entry for stream in streams for message in stream for entry in _entries(message)]


def _entries(message: dict[str, Any]) -> Iterator[Any]:
    for kind in ("http_logs", "tcp_logs"):
        yield from message.get(kind, {}).get("log_entry", [])


def records(server: Telemetry) -> list[Any]:
    return [
        record
        for export in server.exports
        for logs in export["resource_logs"]
        for scope in logs["scope_logs"]
        for record in scope["log_records"]
    ]


def told(server: Telemetry) -> bool:
    """Whether both sinks have told of a request to the origin."""
    names = ("downstream_rq_time", "upstream_rq_total")
    return len(server.stats) == 2 and all(name in json.dumps(stream) for stream in server.stats for name in names)


def steady(tree: Any) -> Any:
    """A tree without what is chance."""
    if isinstance(tree, dict):
        return {
            key: "a port" if key == "port_value" and value > 1 else steady(value)
            for key, value in tree.items() if not CHANCE.fullmatch(key)
        }  # fmt: skip
    return [steady(each) for each in tree] if isinstance(tree, list) else tree


def test_what_a_server_is_sent(tmp_path: Path) -> None:
    with telemetry_server() as by_envoy, telemetry_server() as by_us:

        async def both() -> None:
            await asyncio.gather(see("envoy", tmp_path / "envoy", by_envoy), see("meshproxy", tmp_path / "us", by_us))

        asyncio.run(both())
    assert steady(entries(by_us)) == steady(entries(by_envoy))
    assert identifiers(by_us.logs) == identifiers(by_envoy.logs)
    assert identifiers(by_us.stats) == identifiers(by_envoy.stats)
    assert forms(by_us) == forms(by_envoy)
    assert steady(records(by_us)) == steady(records(by_envoy))
    assert resources(by_us) == resources(by_envoy)
    # Every second stat of the other sink begins a message.
    assert {len(message["envoy_metrics"]) for message in of_sink(by_us, labelled=True)} <= {1, 2}


def resources(server: Telemetry) -> Any:
    """What every message of records says of us: the same."""
    (resource,) = {json.dumps(logs["resource"]) for export in server.exports for logs in export["resource_logs"]}
    return resource


def identifiers(streams: list[list[dict[str, Any]]]) -> list[Any]:
    """By stream: what the first message says of us; the others say nothing."""
    assert all("identifier" not in message for stream in streams for message in stream[1:])
    return sorted([steady(stream[0]["identifier"]) for stream in streams if stream], key=str)


def of_sink(server: Telemetry, labelled: bool) -> list[dict[str, Any]]:
    """The messages of the sink that tells tags as labels, or of the other."""
    return [m for stream in server.stats for m in stream if ('"label"' in json.dumps(stream)) == labelled]


def forms(server: Telemetry) -> set[str]:
    """What stats are called, their kinds, labels, and values where those are not chance."""
    found = set()
    for stream in server.stats:
        for message in stream:
            for family in message["envoy_metrics"]:
                metric = family["metric"][0]
                value = metric.get("gauge") or sorted(metric.keys() & {"counter", "summary", "histogram"})
                buckets = len(metric.get("histogram", {}).get("bucket", []))
                quantiles = len(metric.get("summary", {}).get("quantile", []))
                found.add(str((family["name"], family["type"], metric.get("label"), value, buckets, quantiles)))
    return found
