"""Bytes of an exchange, counted as Envoy counts them: the figures are Envoy's for the same heads."""

from meshproxy.http.meter import Meter, MeteredTransport


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self.written.extend(parts)

    def get_write_buffer_size(self) -> int:
        return 7


def test_heads_that_came() -> None:
    meter = Meter()
    meter.take_head([("host", "a"), ("content-length", "10")])
    assert (meter.headers_received, meter.head_received) == (27, 27)
    meter.take_trailers([("x-up", "1")])
    assert (meter.headers_received, meter.head_received) == (35, 27)


def test_heads_of_interim_answers_count_again() -> None:
    meter = Meter()
    meter.take_head([("x-interim", "yes")])
    meter.take_head([("content-length", "2")])
    assert (meter.headers_received, meter.head_received) == (33, 48)


def test_what_is_written() -> None:
    meter, below = Meter(), Transport()
    transport = MeteredTransport(below, meter)
    transport.head_next = True
    transport.writelines((b"HTTP/1.1 200 OK\r\na: b\r\n\r\n", b"body\r\n\r\n"))
    transport.write(b"more\r\n")
    assert (meter.wire_sent, meter.headers_sent) == (39, 6)
    meter.send_trailers([("x-tail", "1")])
    assert meter.headers_sent == 17
    assert below.written == [b"HTTP/1.1 200 OK\r\na: b\r\n\r\n", b"body\r\n\r\n", b"more\r\n"]
    assert transport.get_write_buffer_size() == 7
