"""How connections are spread over workers: by the kernel as chance has it, or exactly."""

import os
import signal
from contextlib import ExitStack
from math import sqrt
from pathlib import Path

from .running import Running, config, running, wait_for

FOUR = ("--concurrency", "4")
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
EXACT = config().replace("traffic_direction: INBOUND", "connection_balance_config: {exact_balance: {}}")


def each(proxy: Running, name: str) -> list[int]:
    return [proxy.stat(f"listener.127.0.0.1_0.worker_{number}.{name}") for number in range(4)]


def open_some(proxy: Running, stack: ExitStack, count: int) -> list[ExitStack]:
    """So many connections, each of which is served and then held; close one with its `close`."""
    held = []
    for _ in range(count):
        own = stack.enter_context(ExitStack())
        client = own.enter_context(proxy.connect())
        client.sendall(REQUEST)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        held.append(own)
    return held


def test_the_kernel_gives_each_worker_its_share(tmp_path: Path) -> None:
    with running(tmp_path, config(), *FOUR) as proxy, ExitStack() as stack:
        count = 400
        for _ in range(count // 2):
            proxy.get()
        open_some(proxy, stack, count // 2)
        # Six standard deviations of a fair draw: once in five hundred million runs one is further away.
        bound = 6 * sqrt(count * 1 / 4 * 3 / 4)
        shares = each(proxy, "downstream_cx_total")
        assert sum(shares) == count
        assert all(abs(share - count / 4) < bound for share in shares)


def test_exact_balance(tmp_path: Path) -> None:
    with running(tmp_path, EXACT, *FOUR) as proxy, ExitStack() as stack:
        held = open_some(proxy, stack, 42)
        assert sorted(each(proxy, "downstream_cx_active")) == [10, 10, 11, 11]
        for each_one in held[::2]:
            each_one.close()
        wait_for(lambda: sum(each(proxy, "downstream_cx_active")) == 21)
        open_some(proxy, stack, 21)
        assert sorted(each(proxy, "downstream_cx_active")) == [10, 10, 11, 11]


def test_exact_balance_when_a_worker_dies(tmp_path: Path) -> None:
    with running(tmp_path, EXACT, *FOUR) as proxy, ExitStack() as stack:
        open_some(proxy, stack, 8)
        before = set(proxy.children()[1:])
        os.kill(min(before), signal.SIGKILL)
        wait_for(lambda: len(set(proxy.children()[1:]) - before) == 1)
        wait_for(lambda: sum(each(proxy, "downstream_cx_active")) == 6 and proxy.get()[0] == 200)
        wait_for(lambda: sum(each(proxy, "downstream_cx_active")) == 6)
        # Two of them make up for what it lost.
        open_some(proxy, stack, 6)
        assert each(proxy, "downstream_cx_active") == [3, 3, 3, 3]


def test_exact_balance_with_one_worker_has_nothing_to_do(tmp_path: Path) -> None:
    with running(tmp_path, EXACT) as proxy:
        assert proxy.get()[0] == 200
