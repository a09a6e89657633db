"""Batches of log entries, and what becomes of them where the service is slow, or not there."""

import asyncio
from typing import Any

from meshproxy.net.tasks import running
from meshproxy.upstream.grpc_client import GrpcError
from meshproxy.upstream.log_stream import LogBatchStats, LogCalls, LogStream, close_all
from meshproxy.upstream.message_stream import MessageStream
from tests.upstream.fakes import on_loop


class FakeStream:
    def __init__(self, over: bool) -> None:
        self.over = over
        self.blocked = False
        self.unsent = 0
        self.headers: Any = "an answer"
        self.message = "nobody there" if over else ""
        self.sent: list[bytes] = []
        self.all_said = False

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def end_sending(self) -> None:
        self.all_said = True


class FakeClient:
    """there: whether streams that begin now live."""

    cluster_name = "logs"

    def __init__(self) -> None:
        self.there = True
        self.streams: list[FakeStream] = []

    def stream(self, _path: str, timeout: float) -> FakeStream:
        assert timeout == 0
        self.streams.append(FakeStream(over=not self.there))
        return self.streams[-1]


def logs(client: Any, limit: int, interval: float = 60.0) -> tuple[LogStream, LogBatchStats]:
    stats = LogBatchStats()

    def wrap(entries: list[bytes], first: bool) -> bytes:
        return (b"we:" if first else b"") + b",".join(entries)

    return LogStream(client, "/path", wrap, interval, limit, stats), stats


@on_loop
async def test_a_batch_goes_when_it_is_full() -> None:
    client = FakeClient()
    stream, stats = logs(client, 6)
    for entry in (b"aaa", b"bbb", b"ccc", b"ddd", b"e"):
        stream.add(entry)
    assert client.streams[0].sent == [b"we:aaa,bbb", b"ccc,ddd"]
    stream.close()
    assert client.streams[0].sent[2:] == [b"e"]
    assert client.streams[0].all_said
    assert (stats.logs_written, stats.grpc_entries_flushed, stats.logs_dropped) == (5, 5, 0)


@on_loop
async def test_or_when_its_time_is_over() -> None:
    client = FakeClient()
    stream, _ = logs(client, 1000, interval=0.01)
    stream.add(b"a")
    assert not client.streams
    async with asyncio.timeout(10):
        while not client.streams:
            await asyncio.sleep(0.001)
    assert client.streams[0].sent == [b"we:a"]
    stream.close()


@on_loop
async def test_or_at_once() -> None:
    client = FakeClient()
    stream, _ = logs(client, 0)
    stream.add(b"a")
    assert client.streams[0].sent == [b"we:a"]
    stream.close()


@on_loop
async def test_a_service_that_takes_no_more() -> None:
    """A batch is kept until it is full; what comes then is dropped."""
    client = FakeClient()
    stream, stats = logs(client, 4)
    stream.add(b"aaaa")
    client.streams[0].blocked = True
    for entry in (b"bb", b"cc", b"dd", b"ee"):
        stream.add(entry)
    assert (stats.logs_written, stats.logs_dropped, stats.grpc_entries_flushed) == (3, 2, 1)
    client.streams[0].blocked = False
    stream.add(b"ff")
    assert client.streams[0].sent == [b"we:aaaa", b"bb,cc"]
    stream.close()


@on_loop
async def test_a_service_that_is_gone_and_comes_back() -> None:
    client = FakeClient()
    stream, stats = logs(client, 1)
    client.there = False
    stream.add(b"a")
    assert (stats.grpc_entries_flush_failed, stats.grpc_entries_flushed) == (1, 0)
    client.there = True
    stream.add(b"b")
    assert client.streams[-1].sent == [b"we:b"]
    stream.close()


@on_loop
async def test_a_stop_waits_until_the_service_has_all() -> None:
    client = FakeClient()
    stream, _ = logs(client, 1000)
    stream.add(b"a")
    stopping = asyncio.ensure_future(close_all([stream]))
    await asyncio.sleep(0.02)
    assert client.streams[0].sent == [b"we:a"]
    assert client.streams[0].all_said
    assert not stopping.done()
    client.streams[0].over = True
    await asyncio.wait_for(stopping, 10)


@on_loop
async def test_batches_in_calls(caplog: Any) -> None:
    """So many at a time; the others are kept."""
    waiting: list[tuple[bytes, asyncio.Future[bytes]]] = []

    class Client:
        cluster_name = "logs"

        async def unary(self, _path: str, message: bytes) -> bytes:
            waiting.append((message, asyncio.get_running_loop().create_future()))
            return await waiting[-1][1]

    client: Any = Client()
    stats = LogBatchStats()
    calls = LogCalls(client, "/path", b",".join, 60.0, 1, stats)
    for number in range(18):
        calls.add(b"%d" % number)
    await asyncio.sleep(0)
    assert [message for message, _ in waiting] == [b"%d" % number for number in range(16)]
    # The one that fills the batch is kept, and what comes beyond it is dropped.
    assert stats.logs_dropped == 1
    for place, (_, answer) in enumerate(waiting):
        if place < 2:
            answer.set_exception(GrpcError(14, "gone"))
        else:
            answer.set_result(b"")
    while running():
        await asyncio.sleep(0)
    assert stats.grpc_entries_flush_failed == 2
    assert [record.getMessage() for record in caplog.records] == ["log entries to cluster 'logs' are lost: gone"]
    calls.close()
    await asyncio.sleep(0)
    assert waiting[-1][0] == b"16"
    waiting[-1][1].set_result(b"")
    while running():
        await asyncio.sleep(0)


@on_loop
async def test_messages_to_nobody_are_one_warning(caplog: Any) -> None:
    client: Any = FakeClient()
    messages = MessageStream(client, "/path", b"we:")
    client.there = False
    messages.send(b"a")
    messages.send(b"b")
    assert [record.getMessage() for record in caplog.records] == ["messages to cluster 'logs' are lost: nobody there"]
    client.there = True
    messages.send(b"c")
    messages.send(b"d")
    assert client.streams[-1].sent == [b"we:c", b"d"]
    messages.close()
    assert client.streams[-1].all_said
