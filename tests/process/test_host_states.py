"""With workers: one process checks and ejects, what all of them see counts together, and all of them heed it."""

import os
import signal
import socket
import threading
from contextlib import AbstractContextManager
from pathlib import Path

from .running import Running, config, running, wait_for

WORKERS = 3
_NO_PANIC = "common_lb_config: {healthy_panic_threshold: {value: 0}}"


class Upstream:
    """Answers every request as is set now, and counts the checks that come."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._socket.getsockname()[1]
        self.status = 200
        self.headers = ""
        self.checks = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            while head := client.recv(4096):
                check = b"Envoy/HC" in head
                self.checks += check
                extra = "" if check else self.headers
                client.sendall(f"HTTP/1.1 {self.status} X\r\n{extra}content-length: 0\r\n\r\n".encode())


def cluster(port: int, more: str) -> str:
    address = f"{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}"
    endpoints = f"endpoints: [{{lb_endpoints: [{{endpoint: {{address: {address}}}}}]}}]"
    assignment = f"load_assignment: {{cluster_name: origin, {endpoints}}}"
    return f"  clusters: [{{name: origin, {_NO_PANIC}, {more}, {assignment}}}]"


def checks(interval: str = "0.05s") -> str:
    return (
        f"health_checks: [{{timeout: 1s, interval: {interval}, no_traffic_interval: {interval}, "
        "unhealthy_threshold: 1, healthy_threshold: 1, http_health_check: {path: /}}]"
    )


def served_by_all(proxy: Running, status: int) -> bool:
    """Whether connections, which go to the workers by turns as the kernel likes, all get this answer."""
    return all(proxy.get()[0] == status for _ in range(8 * WORKERS))


def proxy_with(tmp_path: Path, port: int, more: str) -> AbstractContextManager[Running]:
    text = config("route: {cluster: origin}", more=cluster(port, more))
    return running(tmp_path, text, "--concurrency", str(WORKERS))


def test_one_process_checks_and_all_heed_it(tmp_path: Path) -> None:
    upstream = Upstream()
    with proxy_with(tmp_path, upstream.port, checks()) as proxy:
        assert served_by_all(proxy, 200)
        wait_for(lambda: upstream.checks > 5)
        seen = upstream.checks
        assert seen <= proxy.stat("cluster.origin.health_check.attempt")
        upstream.status = 500
        wait_for(lambda: proxy.stat("cluster.origin.membership_healthy") == 0)
        wait_for(lambda: served_by_all(proxy, 503))
        kill_a_worker(proxy)
        wait_for(lambda: served_by_all(proxy, 503))
        upstream.status = 200
        wait_for(lambda: served_by_all(proxy, 200))


def test_a_worker_that_hears_of_an_end_tells_all(tmp_path: Path) -> None:
    upstream = Upstream()
    with proxy_with(tmp_path, upstream.port, checks("100s")) as proxy:
        assert proxy.get()[0] == 200
        upstream.headers = "x-envoy-immediate-health-check-fail: true\r\n"
        assert proxy.get()[0] == 200
        wait_for(lambda: served_by_all(proxy, 503))
        # More than one, where workers did not know of it yet.
        assert proxy.stat("cluster.origin.health_check.passive_failure") >= 1
        page = proxy.admin("/clusters")[1]
        assert "health_flags::/failed_active_hc/excluded_via_immediate_hc_fail" in page


def test_failures_in_a_row_are_those_of_all_workers(tmp_path: Path) -> None:
    upstream = Upstream()
    outliers = "outlier_detection: {consecutive_5xx: 20, max_ejection_percent: 100}"
    with proxy_with(tmp_path, upstream.port, outliers) as proxy:
        upstream.status = 500
        assert [proxy.get()[0] for _ in range(19)] == [500] * 19
        upstream.status = 200
        assert proxy.get()[0] == 200
        upstream.status = 500
        assert [proxy.get()[0] for _ in range(20)] == [500] * 20
        wait_for(lambda: served_by_all(proxy, 503))
        assert proxy.stat("cluster.origin.outlier_detection.ejections_enforced_total") == 1
        assert proxy.stat("cluster.origin.outlier_detection.ejections_active") == 1
        kill_a_worker(proxy)
        wait_for(lambda: served_by_all(proxy, 503))


def test_rates_are_those_of_all_workers(tmp_path: Path) -> None:
    upstream = Upstream()
    outliers = (
        "outlier_detection: {consecutive_5xx: 1000, interval: 0.2s, max_ejection_percent: 100, "
        "failure_percentage_minimum_hosts: 1, failure_percentage_request_volume: 1, enforcing_failure_percentage: 100}"
    )
    with proxy_with(tmp_path, upstream.port, outliers) as proxy:
        upstream.status = 500
        wait_for(lambda: proxy.get()[0] == 503)
        wait_for(lambda: served_by_all(proxy, 503))
        assert proxy.stat("cluster.origin.outlier_detection.ejections_enforced_failure_percentage") == 1


def kill_a_worker(proxy: Running) -> None:
    before = set(workers(proxy))
    os.kill(max(before), signal.SIGKILL)
    wait_for(lambda: len(set(workers(proxy)) - before) == 1)


def workers(proxy: Running) -> list[int]:
    _zygote, *workers = proxy.children()
    return workers
