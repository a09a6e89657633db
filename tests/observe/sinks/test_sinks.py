"""Sinks: what is sent, how it is packed, and what happens where nobody listens."""

import asyncio
import logging
import socket
from collections.abc import Iterator

import pytest

from meshproxy.observe.sinks.datagrams import Datagrams
from meshproxy.observe.sinks.flush import StatsFlush, take_timings
from meshproxy.observe.sinks.statsd import DOGSTATSD, GRAPHITE, PLAIN, Dialect, StatsdSink
from meshproxy.observe.snapshot import take
from meshproxy.observe.stats import Registry, SampledHistogram, StatGroup
from meshproxy.observe.tags import TagProducer


class Group(StatGroup):
    COUNTERS = ("upstream_rq_total", "untouched")
    GAUGES = ("active",)
    HISTOGRAMS = ("time",)

    __slots__ = (*COUNTERS, *GAUGES, *HISTOGRAMS)


class Lines:
    """A writer that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.flushed = 0

    def write(self, lines: list[str]) -> None:
        self.lines += lines

    def flush(self) -> None:
        self.flushed += 1

    def close(self) -> None: ...

    def taken(self) -> list[str]:
        lines, self.lines = sorted(self.lines), []
        return lines


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    monkeypatch.setattr(StatGroup, "HISTOGRAM", SampledHistogram)
    made = Group()
    made.upstream_rq_total, made.active = 3, 2
    return made


def flush_of(group: Group, writer: Lines, dialect: Dialect = PLAIN, prefix: str = "") -> StatsFlush:
    stats = Registry()
    stats.add("cluster.a", group)

    async def nothing() -> None: ...

    async def timings() -> list[tuple[tuple[str, type[StatGroup]], str, dict[int, int]]]:
        return [timing for found in take_timings(stats) for timing in found]

    sink = StatsdSink(writer, dialect, TagProducer(), lambda name: "hidden" not in name, prefix)
    return StatsFlush([sink], nothing, lambda: take(stats), timings)


def test_counters_are_sent_as_what_is_new(group: Group) -> None:
    writer = Lines()
    flush = flush_of(group, writer)
    asyncio.run(flush.flush())
    assert writer.taken() == ["envoy.cluster.a.active:2|g", "envoy.cluster.a.upstream_rq_total:3|c"]
    group.upstream_rq_total += 4
    asyncio.run(flush.flush())
    assert writer.taken() == ["envoy.cluster.a.active:2|g", "envoy.cluster.a.upstream_rq_total:4|c"]
    asyncio.run(flush.flush())
    assert "envoy.cluster.a.upstream_rq_total:0|c" in writer.taken()


def test_counters_that_were_set_back_begin_again(group: Group) -> None:
    writer = Lines()
    flush = flush_of(group, writer)
    asyncio.run(flush.flush())
    group.reset()
    group.upstream_rq_total += 1
    writer.taken()
    asyncio.run(flush.flush())
    assert "envoy.cluster.a.upstream_rq_total:1|c" in writer.taken()


def test_timings_are_sent_one_by_one_with_all_digits_and_once(group: Group) -> None:
    writer = Lines()
    flush = flush_of(group, writer, prefix="mesh")
    for value in (1234, 5, 5):
        group.time.record(value)
    asyncio.run(flush.flush())
    timings = [line for line in writer.taken() if line.endswith("ms")]
    assert timings == ["mesh.cluster.a.time:1234|ms", "mesh.cluster.a.time:5|ms", "mesh.cluster.a.time:5|ms"]
    asyncio.run(flush.flush())
    assert not [line for line in writer.taken() if line.endswith("ms")]
    assert group.time.counts == {1200: 1, 5: 2}


@pytest.mark.parametrize(
    "dialect, line",
    [
        (DOGSTATSD, "envoy.cluster.upstream_rq_total:3|c|#envoy.cluster_name:a"),
        (GRAPHITE, "envoy.cluster.upstream_rq_total;envoy.cluster_name=a:3|c"),
    ],
    ids=["dog", "graphite"],
)
def test_dialects_with_tags(group: Group, dialect: Dialect, line: str) -> None:
    writer = Lines()
    asyncio.run(flush_of(group, writer, dialect).flush())
    assert line in writer.taken()


def test_a_failure_is_reported_and_the_next_flush_works(group: Group, caplog: pytest.LogCaptureFixture) -> None:
    writer = Lines()
    flush = flush_of(group, writer)
    flush._parts = broken  # type: ignore[method-assign]
    asyncio.run(flush.flush())
    assert "stats could not be flushed" in caplog.text
    flush._parts = lambda: iter(())  # type: ignore[method-assign]
    assert asyncio.run(flush.flush())


def broken() -> Iterator[None]:
    raise RuntimeError("no parts")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


def test_a_datagram_for_each_line(server: socket.socket) -> None:
    writer = Datagrams(server.getsockname())
    writer.write(["a:1|c", "b:2|c"])
    writer.flush()
    assert [server.recv(100), server.recv(100)] == [b"a:1|c", b"b:2|c"]
    writer.close()


def test_datagrams_are_filled_up_to_their_size(server: socket.socket) -> None:
    writer = Datagrams(server.getsockname(), size=11)
    writer.write(["a:1|c", "b:2|c", "c:3|c", "a much longer line than fits:1|c"])
    writer.flush()
    found = [server.recv(100) for _ in range(3)]
    assert found == [b"a:1|c\nb:2|c", b"c:3|c", b"a much longer line than fits:1|c"]
    writer.close()


def test_nobody_listens(server: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    address = server.getsockname()
    server.close()
    writer = Datagrams(address)
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            writer.write(["a:1|c"])
    assert writer.lost
    assert caplog.text.count("stats cannot be sent to") == 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(address)
        again.settimeout(0.1)
        received = False
        while not received:
            writer.write(["b:1|c"])
            try:
                received = again.recv(100) == b"b:1|c"
            except TimeoutError:
                continue
    writer.close()


def test_a_unix_socket(tmp_path: object) -> None:
    path = f"{tmp_path}/statsd"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        writer = Datagrams((path, 0))
        writer.write(["a:1|c"])
        assert sock.recv(100) == b"a:1|c"
        writer.close()
