"""The terminal filters that need no file of their own."""

import asyncio
import socket

from meshproxy.downstream.drain import DrainClose
from meshproxy.downstream.http_manager import HttpManager
from meshproxy.downstream.network_filter import TerminalFilter
from meshproxy.net.connection import Connection


class HttpTerminal(TerminalFilter):
    """The HTTP connection manager at the end of a chain."""

    def __init__(self, manager: HttpManager) -> None:
        self.manager = manager

    def make_protocol(self, connection: Connection) -> asyncio.Protocol:
        return self.manager.make_protocol(connection)

    def drain(self, decide: DrainClose | None) -> None:
        self.manager.drain_close = decide

    def requests(self) -> int:
        return int(self.manager.stats.downstream_rq_active)

    def end_connections(self) -> None:
        for server in list(self.manager.connections):
            server.transport.abort()

    def refused(self, connection: Connection) -> None:
        stats = self.manager.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_destroy += 1
        stats.downstream_cx_destroy_local += 1
        connection.ended_early()


class CloseAtOnce(TerminalFilter):
    """A chain without filters: Envoy accepts the connection and closes it."""

    takes_socket = True

    def serve(self, sock: socket.socket, connection: Connection) -> None:
        sock.close()
        connection.ended()
