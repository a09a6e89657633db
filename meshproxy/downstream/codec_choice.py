"""Which protocol serves a client's connection: as configured, or as it begins to speak."""

import asyncio
from typing import TYPE_CHECKING

from meshproxy.downstream.http1_metered import MeteredHttp1Server
from meshproxy.downstream.http1_server import Http1Server
from meshproxy.downstream.http2_metered import MeteredHttp2Server
from meshproxy.downstream.http2_server import Http2Server
from meshproxy.observe.demand import DEMAND

if TYPE_CHECKING:
    from meshproxy.downstream.http_manager import HttpManager
    from meshproxy.net.connection import Connection

# How a connection that speaks HTTP/2 begins; what follows is the codec's to judge.
_PREFACE = b"PRI * HTTP/2"


def make_server(manager: "HttpManager", connection: "Connection") -> asyncio.Protocol:
    """For a new connection. With codec_type AUTO it begins as HTTP/1, to which HTTP/2's preface is an error."""
    if manager.codec == "HTTP2":
        return _http2_server(manager, connection)
    return (MeteredHttp1Server if DEMAND.wire else Http1Server)(manager, connection)


def _http2_server(manager: "HttpManager", connection: "Connection") -> Http2Server:
    return (MeteredHttp2Server if DEMAND.wire else Http2Server)(manager, connection)


def take_http2(manager: "HttpManager", server: Http1Server, data: bytes) -> bool:
    """Whether what a connection began with, and HTTP/1 refuses, is HTTP/2, which then serves it."""
    if server.requests or server.stream is not None or manager.codec != "AUTO":
        return False
    if not data.startswith(_PREFACE) and server.connection.alpn != "h2":
        return False
    manager.time.head_complete(server)
    manager.connections.discard(server)
    manager.time.connection_lost(server)
    other = _http2_server(manager, server.connection)
    manager.connections.add(other)
    manager.time.connection_made(other)
    transport = server.socket_transport
    transport.set_protocol(other)
    server.closing = True
    other.take(transport)
    other.serve(data)
    return True
