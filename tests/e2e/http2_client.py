"""A well-behaved HTTP/2 client (the `h2` library), and the raw frames of one that is not."""

import asyncio
from typing import Any

import h2.connection
import h2.events

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# :method GET, :scheme http, :path /, :authority a
GET_BLOCK = bytes.fromhex("828684410161")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


HELLO = PREFACE + frame(4, 0, 0)


def get(stream: int) -> bytes:
    return frame(1, 5, stream, GET_BLOCK)


class Client:
    """Requests one after the other on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection()
        self.h2.initiate_connection()

    @classmethod
    async def connect(cls, port: int) -> "Client":
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client.flush()
        return client

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    async def get(self, path: str = "/") -> tuple[int, bytes]:
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]
        self.h2.send_headers(stream, head, end_stream=True)
        self.flush()
        status, body = 0, b""
        while True:
            data = await self.reader.read(65536)
            assert data, "the connection ended"
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(_text(event.headers))[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamEnded):
                    self.flush()
                    return status, body
                elif isinstance(event, h2.events.StreamReset):
                    raise ConnectionError(f"reset {event.error_code}")
            self.flush()

    def close(self) -> None:
        self.writer.close()


def _text(headers: Any) -> list[tuple[str, str]]:
    return [(_str(name), _str(value)) for name, value in headers]


def _str(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
