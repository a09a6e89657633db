"""PINGs that show whether a peer is still there (Http2ProtocolOptions.connection_keepalive)."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from meshproxy.net.randomness import source
from meshproxy.net.timeouts import TimeoutQueue

if TYPE_CHECKING:
    from meshproxy.http.h2.connection import Http2Connection
    from meshproxy.http.h2.options import Http2Options

_random = source("keepalive").random


class Keepalives:
    """Of all connections of a manager or cluster. `expired` is told of a peer that does not answer in time."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: "Http2Options", expired: Callable[["Http2Connection"], None]
    ) -> None:
        self._options = options
        self._expired = expired
        self._waits: TimeoutQueue[Http2Connection] = TimeoutQueue(loop, options.keepalive_interval, self._ping)
        self._answers: TimeoutQueue[Http2Connection] = TimeoutQueue(loop, options.keepalive_timeout, self._expire)

    def start(self, connection: "Http2Connection") -> None:
        """The next PING is an interval away, and up to `keepalive_jitter` percent more so that not all come at once."""
        interval = self._options.keepalive_interval
        self._waits.add_for(connection, interval * (1 + _random() * self._options.keepalive_jitter / 100))

    def ping(self, connection: "Http2Connection") -> None:
        """Asks now."""
        connection.send_ping(int(time.time() * 1000).to_bytes(8, "big"))
        self._answers.add(connection)

    def answered(self, connection: "Http2Connection") -> None:
        """A PING was acknowledged."""
        if self._answers.discard(connection) and self._options.keepalive_interval:
            self.start(connection)

    def stop(self, connection: "Http2Connection") -> None:
        """It is closed."""
        self._waits.discard(connection)
        self._answers.discard(connection)

    def _ping(self, connection: "Http2Connection") -> float:
        if not connection.closing:
            self.ping(connection)
        return 0.0

    def _expire(self, connection: "Http2Connection") -> float:
        connection.stats.keepalive_timeout += 1
        self._expired(connection)
        return 0.0
