"""How a client's connection is closed from here, whatever is spoken on it."""

from typing import Any


def close_connection(server: Any, delayed: bool) -> None:
    """Closes once everything is written. delayed: only when the client has closed, or Envoy's delayed_close_timeout is
    over, so that a client that still sends does not lose the answer to a TCP reset."""
    server.closing = True
    transport = server.transport
    queue = server.manager.delayed_close
    if delayed and queue is not None:
        queue.add(server)
        # What the client still sends stays unread, as with Envoy: TCP tells it that nobody listens.
        transport.pause_reading()
        return
    transport.close()
    server.unsent = transport.get_write_buffer_size()
    if server.unsent and queue is not None:
        # A client that does not read must not hold the connection for ever.
        queue.add(server)
