"""python -m benchmarks.load [--quick] [--proxies A,B] [--record] [CASE ...]: the table of ratios to Envoy.

The proxies take turns in each round, so that what disturbs the machine disturbs all of them.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from examples.ports import free
from tests.kit.netns import missing as no_pods

from . import captured, cases, clients
from .cases import CASES, Case, Figures
from .proxies import LOAD_CORE, NAMES, BenchmarkError, Proxy, pinned, stop
from .table import Row, machine, markdown, medians

BENCHMARKS = Path(__file__).parents[1]
Once = Callable[[Case, str], Figures]
TOOLS = ("wrk", "h2load", "iperf3", "taskset")


class Upstreams:
    """What the proxies forward to: by kind of case, for HTTP/1.1, HTTP/2 and iperf3."""

    def __init__(self) -> None:
        self.http, self.http2, self.tcp = free([0, 1, 2]).values()
        servers = [[sys.executable, "-m", "benchmarks.load.upstream", str(self.http)]]
        servers.append([sys.executable, "-m", "benchmarks.load.http2_upstream", str(self.http2)])
        servers.append(["iperf3", "-s", "-p", str(self.tcp), "--bind", "127.0.0.1"])
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes = [pinned(server, LOAD_CORE, **silent) for server in servers]

    def wait(self) -> None:
        until = time.monotonic() + 10
        while not (clients.answers(self.http) and clients.listens(self.http2) and clients.listens(self.tcp)):
            if time.monotonic() > until:
                raise BenchmarkError("the upstreams do not start")
            time.sleep(0.02)

    def stop(self) -> None:
        for process in self.processes:
            stop(process)


class Bench:
    def __init__(self, names: list[str], rounds: int, seconds: float) -> None:
        self.names, self.rounds, self.seconds = names, rounds, seconds
        self.upstreams = Upstreams()

    def start(self, name: str, case: Case) -> Proxy:
        how = case.routes, case.workers, case.log, case.clusters, case.cluster, case.action, case.tls
        return Proxy(name, case.kind, getattr(self.upstreams, case.kind), *how)

    def run(self, case: Case) -> dict[str, list[Figures]]:
        """The figures of each round, by proxy."""
        names = [name for name in self.names if name != "bare" or case.on_bare]
        if case.fresh:
            return self._rounds(case, names, self._once_fresh)
        running: dict[str, Proxy] = {}
        try:
            for name in names:
                running[name] = self.start(name, case)
                answers = clients.answers_tls if case.tls else clients.answers
                running[name].wait(clients.listens if case.kind == "tcp" else answers)
                if case.kind != "tcp":
                    clients.wrk(running[name].port, cases.SMALL, 1, tls=case.tls)
            if case.name == "latency":
                cases.set_half_load(running[names[0]])
            return self._rounds(case, names, lambda case, name: case.measure(running[name], self.seconds))
        finally:
            for proxy in running.values():
                proxy.stop()

    def _rounds(self, case: Case, names: list[str], once: Once) -> dict[str, list[Figures]]:
        found: dict[str, list[Figures]] = {name: [] for name in names}
        for _ in range(self.rounds):
            for name in names:
                found[name].append(once(case, name))
        return found

    def _once_fresh(self, case: Case, name: str) -> Figures:
        proxy = self.start(name, case)
        try:
            return case.measure(proxy, self.seconds)
        finally:
            proxy.stop()


def rows_of(case: Case, found: dict[str, list[Figures]]) -> list[Row]:
    middle = {name: medians(rounds) for name, rounds in found.items()}
    figures = next(iter(middle.values()))
    return [
        Row(case.name, case.about, figure, case.goals.get(figure), {name: middle[name][figure] for name in middle})
        for figure in figures
    ]


def write_json(everything: dict[str, Any]) -> Path:
    path = BENCHMARKS / "results" / f"load-{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), "half_load": cases.half_load, "rounds": everything}, indent=1))
    return path


def options_of(arguments: list[str]) -> argparse.Namespace:
    names = [*(case.name for case in CASES), *captured.CASES]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("case", nargs="*", metavar="CASE", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 s, not 5 of 4 s")
    parser.add_argument("--proxies", default=",".join(NAMES), help=f"of {', '.join(NAMES)}")
    parser.add_argument("--record", action="store_true", help="write the table to benchmarks/RESULTS.md")
    options = parser.parse_args(arguments)
    options.proxies = options.proxies.split(",")
    unknown = set(options.case) - set(names) | set(options.proxies) - set(NAMES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


def measure_captured(options: argparse.Namespace, rounds: int, seconds: float) -> dict[str, captured.Found]:
    """The cases between pods, where there can be pods."""
    chosen = {name: keep for name, keep in captured.CASES.items() if not options.case or name in options.case}
    if chosen and no_pods():
        print(f"{', '.join(chosen)}: left out: {no_pods()}", file=sys.stderr)
        return {}
    found = {}
    for name, keep_alive in chosen.items():
        print(f"{name}: {captured.ABOUT[name]}", file=sys.stderr, flush=True)
        proxies = [proxy for proxy in options.proxies if proxy != "bare"]
        found[name] = captured.measure(proxies, rounds, seconds, keep_alive)
    return found


def main() -> int:
    options = options_of(sys.argv[1:])
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or (os.cpu_count() or 1) < 2:
        print(f"bench: needs two cores and {', '.join(TOOLS)}", file=sys.stderr)
        return 1
    rounds, seconds = (3, 1) if options.quick else (5, 4)
    rows: list[Row] = []
    everything: dict[str, dict[str, list[Figures]]] = {}
    between_pods: dict[str, captured.Found] = {}
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the proxies inherit it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    bench = Bench(options.proxies, rounds, seconds)
    try:
        bench.upstreams.wait()
        for case in CASES:
            if not options.case or case.name in options.case:
                print(f"{case.name}: {case.about}", file=sys.stderr, flush=True)
                everything[case.name] = bench.run(case)
                rows += rows_of(case, everything[case.name])
        between_pods = measure_captured(options, rounds, seconds)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        bench.upstreams.stop()
    table = "\n\n".join(
        [*([markdown(rows, rounds)] if rows else []), *([captured.markdown(between_pods)] if between_pods else [])]
    )
    print(f"{table}\n\nAll rounds: {write_json({**everything, **between_pods})}")
    if options.record:
        title = "# Load, beside Envoy 1.40\n\n`make bench ARGS=--record` writes this file."
        (BENCHMARKS / "RESULTS.md").write_text(f"{title}\n\n{table}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
