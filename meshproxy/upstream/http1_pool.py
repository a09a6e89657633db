"""The HTTP/1 connections of one worker to one endpoint: each serves one exchange at a time."""

from typing import TYPE_CHECKING, Any

from meshproxy.net.dial import SocketOptions
from meshproxy.observe.demand import DEMAND
from meshproxy.upstream.http1_client import Http1Client
from meshproxy.upstream.http1_metered import MeteredHttp1Client
from meshproxy.upstream.pool import Pool
from meshproxy.upstream.sides import Waiting

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.endpoint import Endpoint


class Http1Pool(Pool):
    """Idle connections are taken from the end (the warmest); attempts that find none wait in order.

    Beside what all connections tell, `release` says that an exchange ended well and the next one may come.
    """

    __slots__ = ("idle",)

    def __init__(
        self, cluster: "Cluster", endpoint: "Endpoint", priority: int, socket_options: SocketOptions,
        source: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(cluster, endpoint, priority, socket_options, source)
        self.idle: list[Http1Client] = []

    def take(self, attempt: Waiting) -> Http1Client | None:
        idle = self.idle
        while idle:
            client = idle.pop()
            if not client.closing:
                if self.settings.preconnect_ratio > 1.0:
                    self._connect()
                return client
        self.ask(attempt)
        return None

    def release(self, client: Http1Client) -> None:
        """An exchange ended well: the connection serves the next one, unless its time is over."""
        assert self._loop is not None
        client.last_used = self._loop.time()
        if client.closing or client not in self.clients or self.draining:
            client.close()
        elif 0 < self.settings.max_requests <= client.requests:
            self.stats.upstream_cx_max_requests += 1
            client.close()
        elif self.waiting:
            self._serve(client)
        else:
            self.idle.append(client)

    def withhold(self, client: Http1Client) -> bool:
        """Takes one that is idle out of use until it is released again; False where it is not idle."""
        if client not in self.idle:
            return False
        self.idle.remove(client)
        return True

    # ---- what the protocol says ----

    def capacity(self) -> int:
        return len(self.dialling) + len(self.idle)

    def active(self) -> int:
        return len(self.clients) - len(self.idle)

    def is_idle(self, client: Http1Client) -> bool:
        return client in self.idle

    def _make_client(self) -> Http1Client:
        return (MeteredHttp1Client if DEMAND.wire else Http1Client)(self)

    def _count_dial(self) -> None:
        self.stats.upstream_cx_http1_total += 1

    def _serve_with(self, client: Http1Client) -> None:
        if self.waiting:
            self._serve(client)
        elif self.draining:
            client.close()
        else:
            self.idle.append(client)

    def _serve(self, client: Http1Client) -> None:
        attempt = self.waiting.popleft()
        self._left_queue()
        attempt.on_ready(client)

    def _retire(self, client: Http1Client) -> None:
        if client in self.idle:
            client.close()
        else:
            self.clients.discard(client)

    def _drop(self, client: Http1Client) -> None:
        if client in self.idle:
            self.idle.remove(client)
