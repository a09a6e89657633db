"""Two pods with proxies beside their applications, one without, and the rules of the init container."""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Literal

from tests.kit.netns import APP, PROXY, ROOT, Namespace, Switch, folder
from tests.parity.proxies import command

Mode = Literal["REDIRECT", "TPROXY"]
A, B, C = "10.244.0.2", "10.244.0.3", "10.244.0.4"
V6 = {A: "fd00:244::2", B: "fd00:244::3", C: "fd00:244::4"}
# What the pods' rules leave alone: a port, a range, a user, a group.
FREE_PORT, FREE_RANGE, FREE_USER, FREE_GROUP = 8443, "10.97.0.0/16", 1338, 1500
INIT = [
    "-p", "15001", "-z", "15006", "-u", f"{PROXY},{FREE_USER}", "-i", "*", "-x", FREE_RANGE, "-b", "*",
    "-d", "15090,15021,15020", "-o", str(FREE_PORT), "--redirect-dns", "--capture-all-dns", "--dual-stack",
]  # fmt: skip
_ORIGINAL_SRC = (
    '- {name: envoy.filters.listener.original_src, typed_config: {"@type":'
    " type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc, mark: 1337}}"
)


@dataclass(frozen=True)
class Kind:
    """Which proxy, in which mode."""

    proxy: str
    mode: Mode = "REDIRECT"
    concurrency: int = 1
    nft: bool = False
    "The rules are those of nftables."
    server: str = ""
    "The proxy of pod b where it is another one."

    def __str__(self) -> str:
        more = [str(self.concurrency)] if self.concurrency > 1 else []
        to = ["to", self.server] if self.server else []
        return "-".join([self.proxy, *to, self.mode.lower(), *more, *(["nft"] if self.nft else [])])


class World(ExitStack):
    """Everything started and ready; closing it leaves nothing behind."""

    config = Path(__file__).with_name("sidecar.yaml")

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind
        self.folder = self.enter_context(folder())
        self.proxies: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        switch = self.enter_context(Switch())
        self.a = self._pod(switch, "a", A)
        self.b = self._pod(switch, "b", B)
        # Nothing is captured here; the address of another range and services without a listener are its own as well.
        self.c = switch.pod("c", f"{C}/16", f"{V6[C]}/64", "10.97.0.4/32", "10.98.0.4/32", "fd00:98::4/128")
        self._start_applications()
        for pod, address in ((self.a, A), (self.b, B)):
            self._start_proxy(pod, address)
        for pod in (self.a, self.b):
            self._wait(pod)

    def _pod(self, switch: Switch, name: str, address: str) -> Namespace:
        pod = switch.pod(name, f"{address}/16", f"{V6[address]}/64")
        init(pod, "-m", self.kind.mode, *(["--native-nftables"] if self.kind.nft else []))
        return pod

    def _start_applications(self) -> None:
        self._serve(self.a, "http:9080", "dns:15053", user=PROXY)
        self._serve(self.b, "http:9080", "greet:3306", "greet:3307", "echo:5000")
        self._start_grpc()
        self._serve(self.c, "http:80", "http:9080", f"http:{FREE_PORT}", "greet:3306", "greet:9081")

    def _substitutes(self, _pod: Namespace) -> dict[str, str]:
        """What the configuration of a pod has beside what all have."""
        return {}

    def _serve(self, pod: Namespace, *kinds: str, user: int = APP) -> None:
        with (self.folder / f"{pod.name}.app").open("wb") as out:
            pod.start(user, sys.executable, "-m", "tests.kit.app", pod.name, *kinds, out=out)

    def _start_grpc(self) -> None:
        with (self.folder / "b.grpc").open("wb") as out:
            self.b.start(APP, sys.executable, "-m", "tests.kit.grpc_app", "serve", "b", "7070", "7071", out=out)

    def _start_proxy(self, pod: Namespace, address: str) -> None:
        tproxy = self.kind.mode == "TPROXY"
        text = Template(self.config.read_text()).substitute(
            address=address, log=self.log_path(pod), transparent=str(tproxy).lower(),
            original_src=_ORIGINAL_SRC if tproxy else "", **self._substitutes(pod),
        )  # fmt: skip
        config = self.folder / f"{pod.name}.yaml"
        config.write_text(text)
        proxy = self.kind.server or self.kind.proxy if pod is self.b else self.kind.proxy
        words = [*command(proxy), "-c", str(config), "--concurrency", str(self.kind.concurrency),
                 "-l", "warning", "--disable-hot-restart", "--file-flush-interval-msec", "5"]  # fmt: skip
        with (self.folder / f"{pod.name}.proxy").open("wb") as out:
            # As in Istio: rules for the proxy's user would send it what it says to its application (see the docs).
            user = ROOT if tproxy else PROXY
            self.proxies[pod.name] = pod.start(user, *words, out=out, group=PROXY, caps=["net_admin"] if tproxy else [])

    def _wait(self, pod: Namespace) -> None:
        process = self.proxies[pod.name]
        ready = "until curl -sf -o /dev/null 127.0.0.1:15000/ready; do sleep 0.02; done"
        while pod.run(ROOT, "timeout", "0.5", "sh", "-c", ready).returncode:
            assert process.poll() is None, (self.folder / f"{pod.name}.proxy").read_text()

    def log_path(self, pod: Namespace) -> Path:
        return self.folder / f"{pod.name}.log"

    def logged(self, pod: Namespace, count: int) -> list[dict[str, Any]]:
        """The access log's last `count` entries, once there are that many; it starts anew."""
        path = self.log_path(pod)
        waiting = f'until [ "$(wc -l < {path})" -ge {count} ]; do sleep 0.01; done'
        done = subprocess.run(["timeout", "10", "sh", "-c", waiting], check=False)
        lines = path.read_text().splitlines()
        assert done.returncode == 0, lines
        with path.open("r+") as file:
            file.truncate()
        return [json.loads(line) for line in lines]


def init(pod: Namespace, *more: str) -> None:
    """What the init container does."""
    capture(pod, [*INIT, *more], f"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE={FREE_GROUP}")


def capture(pod: Namespace, flags: Sequence[str], *environment: str) -> None:
    """`meshproxy iptables` with any flags."""
    rules = pod.run(ROOT, "env", *environment, sys.executable, "-m", "meshproxy", "iptables", *flags)
    assert rules.returncode == 0, rules.stdout + rules.stderr
