"""Which stats there are, of which kind, when they begin to be used, and what they count: Envoy's and ours."""

import asyncio
import re
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.observe.stats_world import World, world
from tests.parity.proxies import find_envoy

pytestmark = pytest.mark.skipif(find_envoy() is None, reason="no Envoy here to ask")

# What we do not have, and why.
LACKING = {
    r"dns\.cares\..*": "names are resolved by the system's resolver",
    r"(envoy\.)?overload.*": "the overload manager brings its own",
    r"cluster\.refused\.circuit_breakers\.high\.cx_pool_open": "touched where a pool of the other priority ends",
}
# What is ours, or used earlier.
MORE = {
    r".*\.dispatcher\.loop_lag_us": "how late the event loop is; Envoy's dispatchers have others",
    r".*watchdog.*": "Envoy makes those of a worker with its first look at it; a miss is a matter of the machine",
    r"filesystem\.write_total_buffered": "worked out with every look",
    r"(listener\.admin\.)?http\.admin\.downstream_rq_.*": "depends on how often the test has asked too early",
}
# What differs without anybody having counted wrongly.
OTHER_VALUES = {
    r"http\.in\.downstream_cx_tx_bytes_total": "an answer says how many milliseconds it took, in one digit or two",
    r"server\.(memory_.*|version|uptime|stats_recent_lookups|initialization_time_ms)": "of the process itself",
    r"(http\.admin|listener\.admin)\..*": "depends on how often the test has asked",
    r".*cx_rx_bytes_buffered": "Envoy shows the last read, which it has handed on long since",
    r"filesystem\..*": "log files are written by a thread of their own",
    r"workers\..*|.*watchdog.*": "there are no threads to watch",
}
KINDS = ("Counters", "Gauges", "Histograms", "TextReadouts")

Seen = dict[str, dict[str, str]]


async def look(made: World) -> Seen:
    seen = {kind: await made.stats(f"type={kind}") for kind in KINDS}
    used = {**await made.stats("usedonly&type=Counters"), **await made.stats("usedonly&type=Gauges")}
    return {**seen, "used": {**used}}


async def see(kind: str, folder: Path, busy: bool) -> Seen:
    async with world(kind, folder) as made:
        if busy:
            await made.traffic()
        return await look(made)


def listed(name: str, table: dict[str, str]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in table)


def plain(seen: Seen) -> Seen:
    """Without the ports of upstreams in the names of their stats."""
    return {
        kind: {re.sub(r"(127\.0\.0\.1_)\d+", r"\1PORT", n): v for n, v in rows.items()} for kind, rows in seen.items()
    }


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_names_kinds_and_values(busy: bool, tmp_path: Path) -> None:
    async def both() -> tuple[Any, Any]:
        return await asyncio.gather(see("envoy", tmp_path / "envoy", busy), see("meshproxy", tmp_path / "ours", busy))

    envoy, ours = [plain(seen) for seen in asyncio.run(both())]
    complaints = []
    for kind, expected in envoy.items():
        found = ours[kind]
        complaints += [f"{kind}: no {name}" for name in expected if name not in found and not listed(name, LACKING)]
        complaints += [
            f"{kind}: {name} is not Envoy's" for name in found if name not in expected and not listed(name, MORE)
        ]
        if kind in ("Counters", "Gauges"):
            both_have = [name for name in expected if name in found and not listed(name, OTHER_VALUES)]
            different = [name for name in both_have if expected[name] != found[name]]
            complaints += [f"{name}: Envoy {expected[name]}, ours {found[name]}" for name in different]
    assert not complaints, "\n".join(complaints)


class Receiver(asyncio.DatagramProtocol):
    """A statsd server that remembers lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def datagram_received(self, data: bytes, _address: Any) -> None:
        self.lines += data.decode().split("\n")


SINKS = {
    "statsd": "envoy.config.metrics.v3.StatsdSink, prefix: mesh",
    "dog_statsd": "envoy.config.metrics.v3.DogStatsdSink, max_bytes_per_datagram: 500",
    "graphite_statsd": "envoy.extensions.stat_sinks.graphite_statsd.v3.GraphiteStatsdSink",
}


async def sent(kind: str, folder: Path, sink: str) -> Counter[str]:
    """What the counters and timings of one request come to; gauges are of the moment."""
    loop = asyncio.get_running_loop()
    transport, receiver = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    # A flush comes all at once.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    port = transport.get_extra_info("sockname")[1]
    address = f"address: {{socket_address: {{protocol: UDP, address: 127.0.0.1, port_value: {port}}}}}"
    more = f"""
stats_flush_interval: 0.3s
stats_sinks:
- {{name: envoy.stat_sinks.{sink}, typed_config: {{"@type": type.googleapis.com/{SINKS[sink]}, {address}}}}}
"""
    async with world(kind, folder, more) as made:
        await made.traffic()
    # Both flush once more at their end.
    last = re.compile(r"listener.*downstream_cx_total.*proxied.*|listener\.proxied\.downstream_cx_total.*")
    async with asyncio.timeout(20):
        while not any(last.search(line) for line in receiver.lines):
            await asyncio.sleep(0.01)
    for _ in range(100):
        await asyncio.sleep(0)
    transport.close()
    counted = Counter[str]()
    for line in receiver.lines:
        found = re.fullmatch(r"(.*?):(\d+)\|(c|ms)(.*)", line)
        if found and "admin" not in line and "cx_length_ms" not in line and "endpoint" not in line:
            counted[f"{found[1]}|{found[3]}{found[4]}"] += int(found[2]) if found[3] == "c" else 1
    return +counted


@pytest.mark.parametrize("sink", SINKS)
def test_lines_of_sinks(sink: str, tmp_path: Path) -> None:
    async def both() -> tuple[Counter[str], Counter[str]]:
        return await asyncio.gather(sent("envoy", tmp_path / "envoy", sink), sent("meshproxy", tmp_path / "ours", sink))

    envoy, ours = asyncio.run(both())
    # At its end Envoy counts the connections that it closes, and sends that too.
    lacking = re.compile(
        r"\w+\.(dns\.cares|filesystem|runtime|server|listener_manager|.*upstream_cx_destroy|.*watchdog|http\.(in\.)?downstream_cx_tx_bytes).*"
    )
    different = [
        f"{line}: Envoy {envoy[line]}, ours {ours[line]}"
        for line in sorted({*envoy, *ours})
        if envoy[line] != ours[line] and not lacking.match(line)
    ]
    assert not different, "\n".join(different)
