"""Limits, fairness and back-pressure of one connection, without a socket."""

import asyncio

from meshproxy.http.h2 import frames
from tests.http.h2.pipe import Side

GET = bytes.fromhex("828684410161")
HELLO = frames.PREFACE + frames.settings([])
OK = [(":status", "200")]


def get(number: int) -> bytes:
    return frames.headers(number, GET, True, 16384)


def serve(*numbers: int, window: int = 65535) -> Side:
    side = Side()
    side.data_received(frames.PREFACE + frames.settings([(frames.INITIAL_WINDOW_SIZE, window)]))
    for number in numbers:
        side.data_received(get(number))
    side.transport.take()
    return side


def sent(side: Side) -> list[tuple[int, int, int]]:
    """(type, stream, length) of the frames that were written."""
    data, found = side.transport.take(), []
    while data:
        word, _, stream = frames.FRAME.unpack_from(data)
        found.append((word & 0xFF, stream, word >> 8))
        data = data[9 + (word >> 8) :]
    return found


def test_heads_to_a_socket_that_takes_nothing_are_limited() -> None:
    async def scenario() -> None:
        side = Side(max_outbound_frames=10)
        side.data_received(HELLO)
        side.pause_writing()
        for number in range(1, 23, 2):
            side.data_received(get(number))
            side.all[-1].write_headers(OK, True)
        await asyncio.sleep(0)
        assert side.broken is not None and side.closing
        assert side.stats.outbound_flood == 1

    asyncio.run(scenario())


def test_resets_that_nobody_reads_are_limited() -> None:
    async def scenario() -> None:
        side = Side(max_outbound_control_frames=5)
        side.data_received(HELLO)
        side.transport.size = 1
        for number in range(1, 13, 2):
            side.data_received(get(number))
            side.all[-1].write_reset(frames.CANCEL)
        await asyncio.sleep(0)
        assert side.broken is not None and side.closing
        assert side.stats.outbound_control_flood >= 1

    asyncio.run(scenario())


def test_streams_that_wait_for_the_connection_take_turns() -> None:
    side = serve(1, 3, 5)
    for stream in side.all:
        stream.write_headers(OK, False)
        stream.write_data(b"x" * 40000, True)
    sent(side)
    for _ in range(6):
        side.data_received(frames.window_update(0, 100))
    # The first had all of its data written before the others came.
    assert [stream for _, stream, _ in sent(side)] == [3, 5, 3, 5, 3, 5]


def test_a_stream_whose_window_is_used_up_is_not_asked_again() -> None:
    side = serve(1, 3, window=0)
    for stream in side.all:
        stream.write_headers(OK, False)
        stream.write_data(b"hello", True)
    assert not side.waiting
    sent(side)
    side.data_received(frames.window_update(0, 1000))
    assert sent(side) == []
    side.data_received(frames.window_update(3, 3))
    assert sent(side) == [(frames.DATA, 3, 3)]
    side.data_received(frames.settings([(frames.INITIAL_WINDOW_SIZE, 100)]))
    assert [each for each in sent(side) if each[0] == frames.DATA] == [(frames.DATA, 1, 5), (frames.DATA, 3, 2)]
    assert not side.streams and side.stats.pending_send_bytes == 0


def test_trailers_behind_data_wait_for_it_and_need_no_window() -> None:
    side = serve(1, window=5)
    stream = side.all[0]
    stream.write_headers(OK, False)
    stream.write_data(b"hello!", False)
    stream.write_trailers([("x-t", "1")])
    assert [each[0] for each in sent(side)] == [frames.HEADERS, frames.DATA]
    side.data_received(frames.window_update(1, 1))
    assert [each[0] for each in sent(side)] == [frames.DATA, frames.HEADERS]


def test_who_writes_too_much_is_told_once_and_told_when_half_is_gone() -> None:
    side = Side(buffer_limit=1000)
    side.data_received(frames.PREFACE + frames.settings([(frames.INITIAL_WINDOW_SIZE, 0)]))
    side.data_received(get(1))
    stream = side.all[0]
    stream.write_headers(OK, False)
    for _ in range(4):
        stream.write_data(b"x" * 400, False)
    assert stream.events[1:] == ["paused"]
    side.data_received(frames.window_update(1, 1000))
    assert stream.events[1:] == ["paused"]
    side.data_received(frames.window_update(1, 200))
    assert stream.events[1:] == ["paused", "resumed"]


def test_a_socket_that_takes_no_more_stops_all_streams() -> None:
    side = serve(1, 3)
    side.pause_writing()
    assert [stream.events[1:] for stream in side.all] == [["paused"], ["paused"]]
    side.all[0].write_headers(OK, False)
    side.all[0].write_data(b"abc", True)
    assert frames.DATA not in [each[0] for each in sent(side)]
    side.resume_writing()
    assert [each[0] for each in sent(side)] == [frames.DATA]
    assert side.all[1].events[1:] == ["paused", "resumed"]


def test_what_a_stream_held_back_returns_to_the_connection_when_it_ends() -> None:
    side = Side(initial_stream_window=65535, initial_connection_window=65535)
    side.data_received(HELLO + frames.headers(1, GET, False, 16384))
    stream = side.all[0]
    stream.stop_reading()
    for _ in range(3):
        side.data_received(frames.frame(frames.DATA, 0, 1, b"x" * 16384))
    sent(side)
    stream.write_reset(frames.CANCEL)
    assert (frames.WINDOW_UPDATE, 0, 4) in sent(side)


def test_a_response_before_the_end_of_its_request() -> None:
    side = Side()
    side.data_received(HELLO + frames.headers(1, GET, False, 16384))
    sent(side)
    stream = side.all[0]
    stream.write_headers(OK, True)
    stream.end_early()
    # What was on its way already is judged as that of any stream.
    side.data_received(frames.frame(frames.DATA, 0, 1, b"late"))
    assert [each[0] for each in sent(side)] == [frames.HEADERS]
    side.reset_answered()
    assert [each[0] for each in sent(side)] == [frames.RST_STREAM]
    side.data_received(frames.frame(frames.DATA, 0, 1, b"late"))
    side.data_received(frames.headers(1, b"\0\1a\1b", True, 16384))
    assert side.broken is None and sent(side) == []
