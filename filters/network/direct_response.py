"""Says one thing and closes (envoy.extensions.filters.network.direct_response.v3.Config)."""

import asyncio
from typing import Any

from meshproxy.api import Connection, TerminalFilter, read_data_source


class DirectResponse(TerminalFilter):
    def __init__(self, response: bytes) -> None:
        self._response = response

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "DirectResponse":
        return cls(read_data_source(config.response) if config.response else b"")

    def make_protocol(self, connection: Connection) -> asyncio.Protocol:
        return SayAndClose(connection, self._response)


class SayAndClose(asyncio.Protocol):
    __slots__ = ("_connection", "_response")

    def __init__(self, connection: Connection, response: bytes) -> None:
        self._connection = connection
        self._response = response

    def connection_made(self, transport: Any) -> None:
        if (record := self._connection.record) is not None:
            record.details = "direct_response"
        transport.write(self._response)
        # Not at once: what the client has sent is read first, or the kernel would turn the end into a reset.
        asyncio.get_running_loop().call_soon(transport.close)

    def connection_lost(self, error: Exception | None) -> None:
        if (record := self._connection.record) is not None:
            # Read only so that the client gets to its answer: it was received by nobody.
            record.bytes_received = 0
        self._connection.ended()
