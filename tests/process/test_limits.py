"""Limits hold for the whole proxy: with four workers no more gets through than one would let through."""

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from .running import Running, config, running, wait_for

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FOUR = ("--concurrency", "4")
TYPE = '"@type": type.googleapis.com/envoy.extensions.filters'
BUCKET = "token_bucket: {max_tokens: 20, tokens_per_fill: 1, fill_interval: 1000s}"


class Upstream:
    """Greets with whatever it is given to say, and notes how many connections it had at the same time."""

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._socket.getsockname()[1]
        self._lock = threading.Lock()
        self.open = 0
        self.most = 0
        self.total = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._socket.accept()
            with self._lock:
                self.open += 1
                self.total += 1
                self.most = max(self.most, self.open)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.sendall(self._greeting)
            while client.recv(4096):
                pass
        with self._lock:
            self.open -= 1


def clusters(port: int, thresholds: str) -> str:
    address = f"{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}"
    endpoints = f"endpoints: [{{lb_endpoints: [{{endpoint: {{address: {address}}}}}]}}]"
    return (
        f"  clusters: [{{name: origin, circuit_breakers: {{thresholds: [{{{thresholds}, track_remaining: true}}]}}, "
        f"load_assignment: {{cluster_name: origin, {endpoints}}}}}]"
    )


def network(*filters: str) -> str:
    """A configuration whose listener has these network filters instead of an HTTP manager."""
    rows = "".join(f"\n      - {{name: a, typed_config: {{{TYPE}.network.{each}}}}}" for each in filters)
    return re.sub(r"filters:\n.*?Router\}", f"filters:{rows}", config(), flags=re.DOTALL)


ECHO = "echo.v3.Echo"
PER_HOST = "per_host_thresholds: [{max_connections: 8}]"


@contextmanager
def connected(proxy: Running, count: int) -> Iterator[list[socket.socket]]:
    """So many clients, all of which are connected before the first one leaves."""
    with ExitStack() as stack:
        yield [stack.enter_context(proxy.connect()) for _ in range(count)]


def served(client: socket.socket, sends: bytes = b"hello") -> bool:
    """Whether the client, which stays, gets any answer."""
    try:
        client.sendall(sends)
        return bool(client.recv(1000))
    except ConnectionError:
        return False


def served_of(proxy: Running, count: int, sends: bytes = b"hello") -> int:
    with connected(proxy, count) as clients:
        return sum(served(client, sends) for client in clients)


def test_connections_to_a_cluster(tmp_path: Path) -> None:
    upstream = Upstream(b"hello")
    text = network("tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: origin")
    text += clusters(upstream.port, "max_connections: 3")
    with running(tmp_path, text, *FOUR) as proxy:
        for _ in range(3):
            with connected(proxy, 40) as clients:
                assert sum(bool(client.recv(100)) for client in clients) == 3
                assert proxy.stat("cluster.origin.circuit_breakers.default.cx_open") == 1
                assert proxy.stat("cluster.origin.circuit_breakers.default.remaining_cx") == 0
            wait_for(lambda: proxy.stat("cluster.origin.circuit_breakers.default.remaining_cx") == 3)
        assert upstream.most == 3
        assert proxy.stat("cluster.origin.upstream_cx_overflow") == 3 * 37


def test_requests_to_a_cluster(tmp_path: Path) -> None:
    upstream = Upstream(b"")
    text = config("route: {cluster: origin}", more=clusters(upstream.port, "max_requests: 5"))
    with running(tmp_path, text, *FOUR) as proxy, connected(proxy, 40) as clients:
        for client in clients:
            client.sendall(REQUEST)
        # All others are turned away while five wait for an answer.
        wait_for(lambda: proxy.stat("cluster.origin.upstream_rq_active_overflow") == 35)
        assert proxy.stat("cluster.origin.upstream_rq_active") == 5
        assert proxy.stat("cluster.origin.circuit_breakers.default.rq_open") == 1
        assert proxy.stat("cluster.origin.circuit_breakers.default.remaining_rq") == 0


def test_connections_to_an_endpoint(tmp_path: Path) -> None:
    upstream = Upstream(b"")
    more = clusters(upstream.port, "").replace("thresholds: [{, track_remaining: true}]", PER_HOST)
    text = config("route: {cluster: origin}", more=more)
    with running(tmp_path, text, *FOUR) as proxy, connected(proxy, 40) as clients:
        for client in clients:
            client.sendall(REQUEST)
        # As in Envoy, a worker without any connection to it may make one: else its requests would wait for ever.
        wait_for(lambda: proxy.stat("cluster.origin.upstream_rq_pending_active") == 40 - upstream.open)
        assert 8 <= upstream.most <= 8 + 3


def test_a_dead_worker_gives_back_what_it_had(tmp_path: Path) -> None:
    upstream = Upstream(b"hello")
    text = network("tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: origin")
    text += clusters(upstream.port, "max_connections: 8")
    with running(tmp_path, text, *FOUR) as proxy, connected(proxy, 40) as clients:
        assert sum(bool(client.recv(100)) for client in clients) == 8
        workers = proxy.children()[1:]
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: proxy.stat("cluster.origin.circuit_breakers.default.remaining_cx") == 8)
        wait_for(lambda: len(set(proxy.children()[1:]) - set(workers)) == 4)
        wait_for(lambda: upstream.open == 0)
        with connected(proxy, 40) as others:
            assert sum(bool(client.recv(100)) for client in others) == 8


def test_connections_of_a_listener(tmp_path: Path) -> None:
    key = "envoy.resource_limits.listener.in.connection_limit"
    text = config(more=f"layered_runtime: {{layers: [{{name: a, static_layer: {{{key}: 7}}}}]}}")
    with running(tmp_path, text, *FOUR) as proxy:
        assert served_of(proxy, 40, REQUEST) == 7
        assert proxy.stat("listener.127.0.0.1_0.downstream_cx_overflow") == 33
        wait_for(lambda: proxy.stat("http.in.downstream_cx_active") == 0)
        assert served_of(proxy, 40, REQUEST) == 7


def test_connections_of_all_listeners(tmp_path: Path) -> None:
    monitor = (
        "{name: envoy.resource_monitors.global_downstream_max_connections, "
        "typed_config: {'@type': type.googleapis.com/envoy.extensions.resource_monitors."
        "downstream_connections.v3.DownstreamConnectionsConfig, max_active_downstream_connections: 7}}"
    )
    text = config(more=f"overload_manager: {{resource_monitors: [{monitor}]}}")
    with running(tmp_path, text, *FOUR) as proxy:
        assert served_of(proxy, 40, REQUEST) == 7
        assert proxy.stat("listener.127.0.0.1_0.downstream_global_cx_overflow") == 33


@pytest.mark.parametrize(
    ("limit", "counter"),
    [
        ("connection_limit.v3.ConnectionLimit, stat_prefix: l, max_connections: 20", "connection_limit.l.limited_conn"),
        (f"local_ratelimit.v3.LocalRateLimit, stat_prefix: l, {BUCKET}", "local_rate_limit.l.rate_limited"),
    ],
)
def test_network_filters(tmp_path: Path, limit: str, counter: str) -> None:
    with running(tmp_path, network(limit, ECHO), *FOUR) as proxy:
        assert served_of(proxy, 60) == 20
        assert proxy.stat(f"{counter}.*") == 40


def test_a_listener_filter(tmp_path: Path) -> None:
    limit = f"{{{TYPE}.listener.local_ratelimit.v3.LocalRateLimit, stat_prefix: l, {BUCKET}}}"
    filters = f"listener_filters: [{{name: a, typed_config: {limit}}}]"
    text = config().replace("traffic_direction: INBOUND", filters)
    with running(tmp_path, text, *FOUR) as proxy:
        assert served_of(proxy, 60, REQUEST) == 20
        assert proxy.stat("listener_local_ratelimit.l.rate_limited") == 40


def test_requests_by_rate(tmp_path: Path) -> None:
    all_of_them = "{default_value: {numerator: 100}}"
    limit = (
        f"{TYPE}.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: l, {BUCKET}, "
        f"filter_enabled: {all_of_them}, filter_enforced: {all_of_them}"
    )
    text = config().replace("http_filters:\n", f"http_filters:\n          - {{name: a, typed_config: {{{limit}}}}}\n")
    with running(tmp_path, text, *FOUR) as proxy:
        statuses = [proxy.get()[0] for _ in range(60)]
        assert (statuses.count(200), statuses.count(429)) == (20, 40)
        assert proxy.stat("l.http_local_rate_limit.ok") == 20




def test_retries_of_a_cluster(tmp_path: Path) -> None:
    policy = "retry_policy: {retry_on: connect-failure, retry_back_off: {base_interval: 1000s}}"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        more = clusters(nobody.getsockname()[1], "max_retries: 5")
        text = config(f"route: {{cluster: origin, timeout: 0s, {policy}}}", more=more)
        with running(tmp_path, text, *FOUR) as proxy:
            with connected(proxy, 40) as clients:
                for client in clients:
                    client.sendall(REQUEST)
                # All others are turned away while five wait to be tried again.
                wait_for(lambda: proxy.stat("cluster.origin.upstream_rq_retry_overflow") == 35)
                assert proxy.stat("cluster.origin.circuit_breakers.default.rq_retry_open") == 1
                assert proxy.stat("cluster.origin.circuit_breakers.default.remaining_retries") == 0
            wait_for(lambda: proxy.stat("cluster.origin.circuit_breakers.default.remaining_retries") == 5)
