"""A protocol behind network filters that look at the bytes; it takes the filters' place for a transport."""

import asyncio
from typing import TYPE_CHECKING, Any

from meshproxy.downstream.connection_record import ConnectionRecord
from meshproxy.downstream.network_filter import Close
from meshproxy.net.connection import Connection

if TYPE_CHECKING:
    from meshproxy.downstream.filter_chain import FilterChain


class FilteredProtocol(asyncio.Protocol):
    """Stands between a transport and the terminal filter's protocol, and is to each what the other would be."""

    __slots__ = ("_chain", "_closed", "_connection", "_inner", "_record", "_transport")

    def __init__(self, chain: "FilterChain", connection: Connection, inner: asyncio.Protocol) -> None:
        self._chain = chain
        self._connection = connection
        self._inner = inner
        self._transport: Any = None
        self._closed = False
        self._record = ConnectionRecord(connection)

    @property
    def requests(self) -> int:
        """What the terminal filter has counted, where it counts any."""
        return int(getattr(self._inner, "requests", 0))

    # ---- to the transport: a protocol ----

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._connection.record = self._record
        self._inner.connection_made(self)  # type: ignore[arg-type]

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        if isinstance(error, ConnectionResetError):
            self._record.downstream_close_type = "RemoteReset"
        self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._record.bytes_received += len(data)
        passed = self._walk(self._chain.on_data, data, False)
        if passed:
            self._inner.data_received(passed)

    def eof_received(self) -> bool | None:
        self._walk(self._chain.on_data, b"", True)
        return None if self._closed else self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    # ---- to the terminal filter: a transport ----

    def write(self, data: bytes) -> None:
        passed = self._walk(self._chain.on_write[::-1], data)
        if passed:
            self._record.bytes_sent += len(passed)
            self._transport.write(passed)

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self._inner = protocol

    def writelines(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        """Everything that is not about bytes is the transport's own."""
        return getattr(self._transport, name)

    def _walk(self, hooks: tuple[Any, ...], data: bytes, *end: bool) -> bytes:
        """The bytes that are left after all hooks; none once one of them has closed the connection."""
        if self._closed:
            return b""
        for hook in hooks:
            result = hook(self._connection, data, *end)
            if isinstance(result, Close):
                self._closed = True
                self._connection.local_close_reason = result.reason
                if result.reset:
                    self._transport.abort()
                else:
                    self._transport.close()
                return b""
            if result is not None:
                data = result
        return data
