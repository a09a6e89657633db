"""Our connection beside the `h2` library: an independent reading of the same RFC."""

from typing import Any

import h2.config
import h2.connection
import h2.events

from tests.http.h2.pipe import Recorded, Side

GET = [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")]


def pump(ours: Side, theirs: h2.connection.H2Connection) -> list[Any]:
    """Carries bytes until nobody has any; what `h2` says of it."""
    events: list[Any] = []
    while True:
        out = theirs.data_to_send()
        if out:
            ours.data_received(out)
        data = ours.transport.take()
        if data:
            events += theirs.receive_data(data)
        if not data and not out:
            return events


def peer(client: bool) -> h2.connection.H2Connection:
    made = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client, header_encoding="latin-1"))
    made.initiate_connection()
    return made


def serve() -> tuple[Side, h2.connection.H2Connection]:
    ours, theirs = Side(), peer(True)
    pump(ours, theirs)
    return ours, theirs


def test_a_request_and_its_answer() -> None:
    ours, theirs = serve()
    theirs.send_headers(1, [*GET, ("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2")])
    theirs.send_data(1, b"hello", end_stream=False)
    theirs.send_headers(1, [("x-trailer", "t")], end_stream=True)
    pump(ours, theirs)
    stream = ours.all[0]
    kind, head, end = stream.events[0]
    assert (kind, head.method, head.path, head.authority, head.scheme, end) == (
        "headers", "GET", "/", "a.example", "http", False,
    )  # fmt: skip
    assert head.pairs == [("x-a", "1"), ("cookie", "a=1; b=2")]
    assert stream.events[1:] == [("data", b"hello", False), ("trailers", [("x-trailer", "t")])]
    stream.write_headers([(":status", "200"), ("x-b", "é")], False)
    stream.write_data(b"world", False)
    stream.write_trailers([("grpc-status", "0")])
    events = pump(ours, theirs)
    assert [type(each).__name__ for each in events] == [
        "ResponseReceived", "DataReceived", "TrailersReceived", "StreamEnded",
    ]  # fmt: skip
    assert events[0].headers == [(":status", "200"), ("x-b", "é")]
    assert not ours.streams and ours.stats.streams_active == 0


def test_a_body_waits_for_windows() -> None:
    ours, theirs = serve()
    theirs.send_headers(1, GET, end_stream=True)
    pump(ours, theirs)
    stream = ours.all[0]
    body = bytes(range(256)) * 1024
    stream.write_headers([(":status", "200")], False)
    stream.write_data(body, True)
    received = b""
    for _ in range(20):
        for event in pump(ours, theirs):
            if isinstance(event, h2.events.DataReceived):
                received += event.data
                theirs.acknowledge_received_data(event.flow_controlled_length, 1)
    assert received == body
    assert not ours.streams and not ours.waiting and ours.stats.pending_send_bytes == 0


def test_we_as_client() -> None:
    ours, theirs = Side(client=True), peer(False)
    pump(ours, theirs)
    stream = ours.start([*GET[:1], ("x", "y")][:1] + GET[1:], False)
    stream.write_data(b"abc", True)
    events = pump(ours, theirs)
    assert [type(each).__name__ for each in events] == ["RequestReceived", "DataReceived", "StreamEnded"]
    theirs.send_headers(1, [(":status", "103"), ("link", "x")])
    theirs.send_headers(1, [(":status", "200"), ("content-length", "3")])
    theirs.send_data(1, b"xyz", end_stream=True)
    pump(ours, theirs)
    assert [(each[0], each[1].status) for each in stream.events[:2]] == [("headers", 103), ("headers", 200)]
    assert stream.events[2:] == [("data", b"xyz", True)]
    assert not ours.streams


def test_the_window_is_given_back_while_nobody_has_paused() -> None:
    ours, theirs = Side(initial_stream_window=65535, initial_connection_window=65535), peer(True)
    pump(ours, theirs)
    theirs.send_headers(1, GET)
    pump(ours, theirs)
    stream: Recorded = ours.all[0]
    stream.stop_reading()
    sent = 0
    while theirs.local_flow_control_window(1):
        size = min(theirs.local_flow_control_window(1), 16384)
        theirs.send_data(1, b"x" * size)
        sent += size
        pump(ours, theirs)
    assert sent == 65535 == len(stream.body)
    stream.start_reading()
    pump(ours, theirs)
    assert theirs.local_flow_control_window(1) == 65535
