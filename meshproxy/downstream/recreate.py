"""An exchange that begins anew with another request: an internal redirect (Envoy's recreateStream)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from meshproxy.downstream.http2_exchange import MultiplexedStream
from meshproxy.http.headers import ResponseHeaders
from meshproxy.http.stream import Stream

if TYPE_CHECKING:
    from meshproxy.downstream.http_manager import HttpManager

_OF_THE_CLIENT = (
    "started", "start_time", "protocol", "told_peer", "internal", "close_after", "followed", "bytes_received",
)  # fmt: skip


def recreate(manager: "HttpManager", stream: Stream, headers: ResponseHeaders, body: Sequence[bytes]) -> None:
    """For logs and stats `stream` ends here with `headers`; another one goes on with what its request has become.

    What the first one found out of the client stays true, and is not looked for again.
    """
    stream.details = "internal_redirect"
    stream.response = headers
    stream.response_complete = True
    # As Envoy logs it: the route that was found last.
    stream.route = manager.look_up(stream)
    stream.cluster = stream.cluster_name = None
    server: Any = stream.server
    if isinstance(stream, MultiplexedStream):
        fresh = manager.start_multiplexed(server, server.carrier, stream.request)
    else:
        fresh = manager.start(server, stream.connection, stream.request)
    server.stream = fresh
    for name in _OF_THE_CLIENT:
        setattr(fresh, name, getattr(stream, name))
    stream.finish()
    manager.run(fresh, not body, manager.second_steps)
    last = len(body) - 1
    for i, data in enumerate(body):
        if fresh.done:
            return
        fresh.receive_data(data, i == last)
