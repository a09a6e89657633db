"""Whatever comes: valid traffic means to us what it means to the `h2` library, and no bytes at all break more than
their connection."""

from typing import Any

import h2.connection
import h2.exceptions
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.h2.pipe import Side
from tests.http.h2.test_against_h2 import GET, peer, pump

operation = st.sampled_from(
    ["open", "open-end", "data", "data-end", "empty", "trailers", "reset", "ping", "window", "padded", "settings"]
)
moves = st.lists(st.tuples(operation, st.integers(0, 3)), max_size=25)


def play(client: h2.connection.H2Connection, script: list[tuple[str, int]]) -> list[bytes]:
    """What a client writes that does these things, as far as its library allows them."""
    written = [client.data_to_send()]
    open_streams: list[int] = []
    for move, which in script:
        stream = open_streams[which % len(open_streams)] if open_streams else 0
        try:
            if move.startswith("open"):
                number = client.get_next_available_stream_id()
                client.send_headers(number, [*GET, ("x-n", str(which))], end_stream=move == "open-end")
                if move == "open":
                    open_streams.append(number)
            elif move == "ping":
                client.ping(b"12345678")
            elif move == "settings":
                client.update_settings({4: 65535 + which})
            elif not stream:
                continue
            elif move == "trailers":
                client.send_headers(stream, [("x-t", "1")], end_stream=True)
                open_streams.remove(stream)
            elif move == "reset":
                client.reset_stream(stream)
                open_streams.remove(stream)
            elif move == "window":
                client.increment_flow_control_window(10, stream)
            else:
                data = b"" if move == "empty" else b"x" * (which * 500 + 1)
                client.send_data(stream, data, move == "data-end", pad_length=which * 9 if move == "padded" else None)
                if move == "data-end":
                    open_streams.remove(stream)
        except h2.exceptions.H2Error:
            continue
        written.append(client.data_to_send())
    return written


def story(side: Side) -> list[Any]:
    """Per stream: method, body, trailers, and how it ended."""
    told = []
    for stream in side.all:
        heads = [each[1].pairs for each in stream.events if each[0] == "headers"]
        trailers = [each[1] for each in stream.events if each[0] == "trailers"]
        resets = [each[1] for each in stream.events if each[0] == "reset"]
        told.append((stream.id, heads, stream.body, trailers, resets, stream.remote_closed))
    return told


def their_story(written: list[bytes]) -> list[Any]:
    server = peer(False)
    told: dict[int, Any] = {}
    for event in server.receive_data(b"".join(written)):
        name = type(event).__name__
        number = getattr(event, "stream_id", 0)
        if name == "RequestReceived":
            pairs = [(key, value) for key, value in event.headers if not key.startswith(":")]
            told[number] = [number, [pairs], b"", [], [], False]
        elif name == "DataReceived":
            told[number][2] += event.data
        elif name == "TrailersReceived":
            told[number][3].append([tuple(each) for each in event.headers])
        elif name == "StreamReset":
            told[number][4].append(event.error_code)
            told[number][5] = True
        elif name == "StreamEnded":
            told[number][5] = True
    return [tuple(each) for each in told.values()]


@settings(max_examples=3000, deadline=None)
@given(moves, st.integers(1, 400))
def test_valid_traffic_in_pieces_means_the_same(script: list[tuple[str, int]], piece: int) -> None:
    written = play(peer(True), script)
    ours = Side(max_empty_frames=100)
    data = b"".join(written)
    for at in range(0, len(data), piece):
        ours.data_received(data[at : at + piece])
    assert ours.broken is None
    assert story(ours) == their_story(written)


@settings(max_examples=3000, deadline=None)
@given(moves, st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=4)), max_size=6), st.booleans())
def test_bytes_that_are_changed_break_no_more_than_the_connection(
    script: list[tuple[str, int]], changes: list[tuple[float, bytes]], lenient: bool
) -> None:
    data = bytearray(b"".join(play(peer(True), script)))
    for where, what in changes:
        at = 24 + int(where * (len(data) - 24))
        data[at : at + len(what)] = what
    ours = Side(stream_error=lenient)
    ours.data_received(bytes(data))
    for stream in ours.all:
        stream.write_headers([(":status", "200")], False)
        stream.write_data(b"answer", True)
    ours.connection_lost(None)
    assert len(ours.streams) == ours.stats.streams_active


@settings(max_examples=3000, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_behind_the_preface(garbage: bytes) -> None:
    ours = Side()
    ours.data_received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" + garbage)
    assert ours.broken is None or ours.closing


@settings(max_examples=3000, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 70_000), st.booleans()), max_size=6), st.integers(3_000, 40_000))
def test_what_we_send_arrives_whatever_the_windows(pieces: list[tuple[int, bool]], window: int) -> None:
    ours, theirs = Side(), peer(True)
    theirs.update_settings({4: window})
    pump(ours, theirs)
    theirs.send_headers(1, GET, end_stream=True)
    theirs.send_headers(3, GET, end_stream=True)
    pump(ours, theirs)
    sent = {1: b"", 3: b""}
    for stream in ours.all:
        stream.write_headers([(":status", "200")], False)
    for size, first in pieces:
        stream = ours.all[0 if first else 1]
        sent[stream.id] += bytes([size % 251]) * size
        stream.write_data(bytes([size % 251]) * size, False)
    for stream in ours.all:
        stream.write_trailers([("x-end", "1")])
    received, ended = {1: b"", 3: b""}, set()
    for _ in range(2000):
        events = pump(ours, theirs)
        for event in events:
            if type(event).__name__ == "DataReceived":
                received[event.stream_id] += event.data
                theirs.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif type(event).__name__ == "TrailersReceived":
                ended.add(event.stream_id)
        if len(ended) == 2:
            break
    assert received == sent and ended == {1, 3}
    assert not ours.streams and not ours.waiting and not ours.stats.pending_send_bytes
