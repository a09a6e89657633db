"""Listener filters at work on one accepted socket, until it is served, refused, or has taken too long."""

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from meshproxy.downstream.filter_chain import close_socket
from meshproxy.downstream.listener_filter import CLOSE, MORE, ListenerFilter, Look
from meshproxy.net.connection import Connection

if TYPE_CHECKING:
    from meshproxy.downstream.listener import Listener

_log = logging.getLogger("filter")

# Unix sockets do not know SO_RCVLOWAT, so what is readable says nothing about more: look again after a while.
_LOOK_AGAIN_SECONDS = 0.02


class Inspection:
    """Waits without spinning for bytes that it does not consume: SO_RCVLOWAT asks for one more than there are."""

    __slots__ = (
        "_connection", "_done", "_filters", "_listener", "_peeked", "_seen", "_socket", "_then", "_unix", "_waiting",
    )  # fmt: skip

    def __init__(
        self, listener: "Listener", sock: socket.socket, connection: Connection,
        then: Callable[[socket.socket, Connection], None],
    ) -> None:  # fmt: skip
        """then: takes over what the filters let pass."""
        self._listener = listener
        self._socket = sock
        self._connection = connection
        self._then = then
        self._filters = iter(listener.listener_filters)
        self._unix = not connection.direct_local[1]
        # What the filter before saw: nothing can have come since, as long as nobody waited.
        self._peeked: tuple[int, bytes] | None = None
        self._seen = 0
        self._waiting: ListenerFilter | None = None
        self._done = False
        listener.stats.downstream_pre_cx_active += 1

    def run(self) -> None:
        """Each filter in turn, until one has to wait."""
        connection = self._connection
        for each in self._filters:
            if each.disabled is not None and each.disabled(connection):
                continue
            look = self._ask(each)
            if look is MORE:
                self._wait(each)
                return
            if look is CLOSE:
                self._refuse()
                return
        self._finish()
        self._then(self._socket, connection)

    def expire(self) -> float:
        """The listener_filters_timeout is over."""
        listener = self._listener
        listener.stats.downstream_pre_cx_timeout += 1
        self._finish()
        if listener.continue_on_filters_timeout:
            self._then(self._socket, self._connection)
        else:
            listener.dismiss()
            self._socket.close()
        return 0.0

    def _ask(self, each: ListenerFilter) -> Look:
        """What the filter says; CLOSE where it fails, which is that filter's bug."""
        try:
            if self._waiting is not each:
                look = each.on_accept(self._connection, self._socket)
                if look is not MORE:
                    return look
            return self._look(each)
        except Exception:
            _log.exception("listener filter %r failed", each.name)
            return CLOSE

    def _look(self, each: ListenerFilter) -> Look:
        try:
            data = self._peek(each.max_bytes)
        except BlockingIOError:
            return MORE
        except OSError:
            self._listener.stats.downstream_listener_filter_error += 1
            return CLOSE
        if not data or (len(data) == self._seen and not self._unix):
            # Readable although nothing came: the client has closed its half.
            self._listener.stats.downstream_listener_filter_remote_close += 1
            return CLOSE
        look = each.on_data(self._connection, data)
        if isinstance(look, int):
            if look:
                self._socket.recv(look)
                self._peeked = None
            self._want(0)
        elif look is MORE:
            self._peeked = None
            self._want(len(data))
        return look

    def _peek(self, limit: int) -> bytes:
        """What has come, and stays where it is."""
        if self._peeked is not None and self._peeked[0] >= limit:
            return self._peeked[1][:limit]
        data = self._socket.recv(limit, socket.MSG_PEEK)
        self._peeked = limit, data
        return data

    def _want(self, seen: int) -> None:
        """Be woken by more than `seen` bytes."""
        if seen != self._seen:
            self._seen = seen
            if not self._unix:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)

    def _wait(self, each: ListenerFilter) -> None:
        listener = self._listener
        if self._waiting is None and listener.inspections is not None:
            listener.inspections.add(self)
        self._waiting = each
        if self._seen and self._unix:
            listener.loop.remove_reader(self._socket.fileno())
            listener.loop.call_later(_LOOK_AGAIN_SECONDS, self._ready)
        else:
            listener.loop.add_reader(self._socket.fileno(), self._ready)

    def _ready(self) -> None:
        each = self._waiting
        if self._done or each is None:
            return
        look = self._ask(each)
        if look is CLOSE:
            self._refuse()
        elif look is MORE:
            if self._unix:
                self._wait(each)
        else:
            self.run()

    def _refuse(self) -> None:
        self._finish()
        self._listener.dismiss()
        close_socket(self._socket, reset=False)

    def _finish(self) -> None:
        self._done = True
        self._want(0)
        listener = self._listener
        listener.stats.downstream_pre_cx_active -= 1
        if self._waiting is not None:
            if listener.inspections is not None:
                listener.inspections.discard(self)
            listener.loop.remove_reader(self._socket.fileno())
