"""Out of file descriptors: those who came first are served, operators too, and nobody spins."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from .running import Running, config, starting, wait_for

_FEW = 160
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def ticks(proxy: Running) -> int:
    """Processor time of all its processes, in hundredths of a second."""
    pids = [proxy.process.pid, *proxy.children()]
    return sum(sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) for pid in pids)


@pytest.mark.parametrize("flags", [(), ("--concurrency", "2")])
def test_too_many_connections(tmp_path: Path, flags: tuple[str, ...]) -> None:
    script = f"import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, ({_FEW}, {_FEW}))"
    with starting(tmp_path, config(), *flags, script=script) as proxy, ExitStack() as stack:
        proxy.wait_until_live()
        first = stack.enter_context(proxy.connect())
        first.sendall(REQUEST)
        assert first.recv(1000).startswith(b"HTTP/1.1 200")
        with ExitStack() as crowd:
            for _ in range(4 * _FEW):
                crowd.enter_context(proxy.connect())
            rejected = "listener.127.0.0.1_0.downstream_cx_overload_reject"
            wait_for(lambda: proxy.stat(rejected) > 0)
            before, began = ticks(proxy), time.monotonic()
            first.sendall(REQUEST)
            assert first.recv(1000).startswith(b"HTTP/1.1 200")
            assert proxy.admin("/ready")[0] == 200
            wait_for(lambda: time.monotonic() - began > 0.5)
            # A tenth of a second is what the admin interface may need; who spins needs all of it.
            assert ticks(proxy) - before < 100 * (time.monotonic() - began) / 2
        wait_for(lambda: proxy.get() == (200, "hello"))

