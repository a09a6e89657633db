"""What it costs to be captured: a request through two sidecars, beside one through two hops that know of each other.

Each pod is a network namespace. Two have the rules of the init container, and their proxies the configuration of
tests/interception; the two others have no rules, and their proxies listen for the same routes where they are called.
"""

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from string import Template
from typing import Any

import yaml

from tests.interception.world import World, capture
from tests.kit.netns import APP, PROXY, Namespace, Switch, folder
from tests.parity.proxies import command

from .cases import CPU, Figures
from .proxies import LOAD_CORE, PROXY_CORE, BenchmarkError, cpu_s
from .table import medians, number

CAPTURED, PLAIN = "captured", "plain"
GOAL = 1.1  # captured, times plain of the same proxy, where connections are kept
# Cases: name, and whether connections are kept.
CASES = {"captured": True, "captured-new-connection": False}
ABOUT = {"captured": "small GET, keep-alive", "captured-new-connection": "small GET, a connection each"}
Found = dict[str, dict[str, list[Figures]]]
PORT, HOP = 9080, 9081
_CLIENT, _SERVER = {CAPTURED: "10.244.0.2", PLAIN: "10.244.0.4"}, {CAPTURED: "10.244.0.3", PLAIN: "10.244.0.5"}
# As Istio's injector calls the init container.
RULES = ["-p", "15001", "-z", "15006", "-u", str(PROXY), "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*",
         "-d", "15090,15021,15020"]  # fmt: skip
_TARGET = {CAPTURED: f"http://10.96.0.10:{PORT}/bytes/100", PLAIN: f"http://127.0.0.1:{HOP}/bytes/100"}
START_S = 20.0


class Pair:
    """A client's pod and a server's pod with a proxy each, ready for load; they go with the switch."""

    def __init__(self, switch: Switch, proxy: str, way: str, place: Path) -> None:
        self.proxies: list[subprocess.Popen[bytes]] = []
        self.way = way
        client, server = f"{_CLIENT[way]}/16", f"{_SERVER[way]}/16"
        self.client = switch.pod("client", client)
        self.server = switch.pod("server", server)
        upstream = [sys.executable, "-m", "benchmarks.load.upstream", str(PORT), "0.0.0.0"]
        self._start(self.server, APP, upstream, LOAD_CORE, place / "upstream")
        for pod, address in ((self.client, _CLIENT[way]), (self.server, _SERVER[way])):
            if way == CAPTURED:
                capture(pod, RULES)
            config = place / f"{address}.yaml"
            config.write_text(yaml.safe_dump(config_of(way, pod is self.client, address)))
            words = [*command(proxy), "-c", str(config), "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
            self.proxies.append(self._start(pod, PROXY, words, PROXY_CORE, place / f"{address}.out"))
        until = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > until:
                raise BenchmarkError(f"{proxy}, {way}: {[out.read_text()[-500:] for out in place.glob('*.out')]}")

    @staticmethod
    def _start(pod: Namespace, user: int, words: list[str], core: int, out: Path) -> "subprocess.Popen[bytes]":
        with out.open("wb") as file:
            return pod.start(user, "taskset", "-c", str(core), *words, out=file)

    def _answers(self) -> bool:
        return not self.client.run(APP, "curl", "-sf", "-o", "/dev/null", _TARGET[self.way]).returncode

    def measure(self, seconds: float, keep_alive: bool) -> Figures:
        close = [] if keep_alive else ["-H", "Connection: close"]
        before = sum(cpu_s(proxy.pid) for proxy in self.proxies)
        done = self.client.run(
            APP, "taskset", "-c", str(LOAD_CORE), "wrk", "-t1", "-c32", f"-d{seconds:.0f}s", *close, _TARGET[self.way]
        )
        spent = sum(cpu_s(proxy.pid) for proxy in self.proxies) - before
        total = re.search(r"(\d+) requests in ", done.stdout)
        if not total or not int(total[1]) or re.search(r"Non-2xx|Socket errors", done.stdout):
            raise BenchmarkError(f"wrk: {done.stdout}{done.stderr}")
        return {CPU: spent * 1e6 / int(total[1])}


def measure(proxies: list[str], rounds: int, seconds: float, keep_alive: bool) -> Found:
    """By proxy and way, the figures of each turn.

    A process is a few percent faster or slower than the next one with the same work, for as long as it lives, and what
    is looked for is no more: each round has processes of its own. Within it all pairs take turns of a second, forth and
    back, so that what changes on the machine meanwhile cancels out.
    """
    found: Found = {proxy: {CAPTURED: [], PLAIN: []} for proxy in proxies}
    for _ in range(rounds):
        with ExitStack() as stack:
            pairs = {}
            for proxy in proxies:
                switch = stack.enter_context(Switch())
                for way in (CAPTURED, PLAIN):
                    place = stack.enter_context(folder())
                    pairs[proxy, way] = Pair(switch, proxy, way, place)
                    pairs[proxy, way].measure(1, keep_alive)
            order = list(pairs.items())
            for turn in range(max(2, round(seconds))):
                for (proxy, way), pair in order if turn % 2 else reversed(order):
                    found[proxy][way].append(pair.measure(1, keep_alive))
    return found


def markdown(cases: dict[str, Found]) -> str:
    """A table of both ways by case and proxy."""
    lines = [
        "Through two proxies, pod to pod: captured by the rules of the init container, and as plain hops.",
        "",
        f"| case | proxy | captured, {CPU} | plain, {CPU} | ratio | goal |",
        "|---|---|---:|---:|---:|---|",
    ]
    for name, found in cases.items():
        for proxy, ways in found.items():
            captured, plain = (medians(ways[way])[CPU] for way in (CAPTURED, PLAIN))
            goal = ""
            if proxy == "meshproxy" and CASES[name]:
                goal = f"≤ {GOAL} {'reached' if captured / plain <= GOAL else '**not reached**'}"
            figures = f"{number(captured)} | {number(plain)} | {number(captured / plain)}"
            lines.append(f"| {ABOUT[name]} | {proxy} | {figures} | {goal} |")
    return "\n".join(lines)


def config_of(way: str, client: bool, address: str) -> dict[str, Any]:
    """A sidecar's configuration without its logs; of the plain way, the same routes on a listener of their own."""
    text = Template(World.config.read_text()).substitute(
        address=address, log="/dev/null", transparent="false", original_src=""
    )
    content: dict[str, Any] = _without_logs(yaml.safe_load(text))
    if way == CAPTURED:
        return content
    static = content["static_resources"]
    name = "0.0.0.0_9080" if client else "virtualInbound"
    listener = next(one for one in static["listeners"] if one["name"] == name)
    manager = next(
        chain["filters"]
        for chain in listener["filter_chains"]
        if chain["filters"][0]["name"].endswith("http_connection_manager")
    )
    bound = {"socket_address": {"address": "0.0.0.0", "port_value": HOP}}
    static["listeners"] = [{"name": "hop", "address": bound, "filter_chains": [{"filters": manager}]}]
    if client:
        manager[0]["typed_config"]["route_config"]["virtual_hosts"][0]["domains"] = ["127.0.0.1"]
    where = (_SERVER[PLAIN], HOP) if client else ("127.0.0.1", PORT)
    static["clusters"] = [
        {**one, "type": "STATIC", "lb_policy": "ROUND_ROBIN", "load_assignment": _assignment(*where)}
        for one in static["clusters"]
    ]
    for one in static["clusters"]:
        for field in ("upstream_bind_config", "cleanup_interval"):
            one.pop(field, None)
    return content


def _assignment(host: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
    return {"cluster_name": "hop", "endpoints": [{"lb_endpoints": [endpoint]}]}


def _without_logs(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_logs(one) for key, one in value.items() if key != "access_log"}
    return [_without_logs(one) for one in value] if isinstance(value, list) else value
