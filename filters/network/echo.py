"""Sends back what it gets (envoy.extensions.filters.network.echo.v3.Echo)."""

import asyncio
from typing import Any

from meshproxy.api import Connection, TerminalFilter


class Echo(TerminalFilter):
    @classmethod
    def build(cls, config: Any, ctx: Any) -> "Echo":
        return cls()

    def make_protocol(self, connection: Connection) -> asyncio.Protocol:
        return EchoProtocol(connection)


class EchoProtocol(asyncio.Protocol):
    """Reads no further while the client does not take what it is sent."""

    __slots__ = ("_connection", "_transport")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._connection.ended()
