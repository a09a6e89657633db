"""Bookinfo as a mesh: a gateway, and beside every service a sidecar; between them is mutual TLS, with identities.

Starts everything, shows the answers once, stays until Ctrl-C, stops everything.

    python -m examples.bookinfo.run [--once] [--tour] [--free-ports] [--proxy COMMAND]
"""

import argparse
import http.client
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple, NoReturn

from examples import ports
from examples.bookinfo.tour import tour

HERE = Path(__file__).parent
EDGE, ADMIN = 8080, 9901


class Pod(NamedTuple):
    """A service and the sidecar beside it. account: who it is, spiffe://cluster.local/ns/default/sa/<account>."""

    account: str
    service: int
    inbound: int
    outbound: int
    admin: int
    script: str
    arguments: tuple[str, ...] = ()

    @property
    def ports(self) -> dict[int, int]:
        """The ports of sidecar.yaml, and those of this pod."""
        return {9080: self.service, 15006: self.inbound, 15001: self.outbound, 15000: self.admin}


PODS = {
    "productpage": Pod("productpage", 9080, 9180, 9280, 9380, "productpage.py"),
    "details": Pod("details", 9081, 9181, 9281, 9381, "details.py"),
    "ratings": Pod("ratings", 9082, 9182, 9282, 9382, "ratings.py"),
    "reviews-v1": Pod("reviews", 9083, 9183, 9283, 9383, "reviews.py", ("--version", "v1")),
    "reviews-v2": Pod("reviews", 9084, 9184, 9284, 9384, "reviews.py", ("--version", "v2")),
    "reviews-v3": Pod("reviews", 9085, 9185, 9285, 9385, "reviews.py", ("--version", "v3")),
    "reviews-v1-again": Pod("reviews", 9086, 9186, 9286, 9386, "reviews.py", ("--version", "v1")),
}
ACCOUNTS = ("gateway", *dict.fromkeys(pod.account for pod in PODS.values()))
PORTS = [EDGE, ADMIN, *(port for pod in PODS.values() for port in pod.ports.values())]
STARS = {"v1": "no stars", "v2": "black stars", "v3": "red stars"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
START_S = 15.0
STOP_S = 10.0


class Trouble(Exception):
    """Something that a person can act on, in one line."""


class Stop(Exception):
    """Ctrl-C, SIGTERM or SIGHUP."""


class Group:
    """The processes of one run: started in order, stopped in the opposite order, none left behind."""

    def __init__(self) -> None:
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        # What each has to say.
        self.logs: dict[str, Path] = {}

    def start(self, name: str, command: list[str], log: Path) -> None:
        self.logs[name] = log
        # A session of its own: Ctrl-C reaches the runner alone, which then stops the proxies before the services.
        try:
            with log.open("wb") as output:
                self.running[name] = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        except OSError as error:
            raise Trouble(f"{name}: {shlex.join(command)}: {error.strerror}") from error

    def check(self) -> None:
        for name, process in self.running.items():
            if process.poll() is not None:
                said = "".join(f"\n{line}" for line in self.logs[name].read_text("utf-8", "replace").splitlines()[-5:])
                raise Trouble(f"{name} ended with exit code {process.returncode}{said}")

    def stop(self) -> None:
        for process in reversed(self.running.values()):
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Bookinfo:
    """One run, on the ports of the configurations or on ``moved`` ones."""

    def __init__(self, moved: dict[int, int]) -> None:
        self.port = moved
        self.group = Group()

    def start(self, proxy: list[str], folder: Path) -> None:
        certify(folder / "certs")
        for name, pod in PODS.items():
            mesh = f"127.0.0.1:{self.port[pod.outbound]}"
            options = ["--port", str(self.port[pod.service]), "--mesh", mesh, *pod.arguments]
            self.group.start(name, [sys.executable, str(HERE / pod.script), *options], folder / f"{name}.service.log")
            self.start_proxy(proxy, folder, f"sidecar of {name}", "sidecar.yaml", pod.account, pod.ports)
        self.start_proxy(proxy, folder, "gateway", "gateway.yaml", "gateway", {})
        for name, pod in PODS.items():
            self.wait_for(name, pod.service, "/")
            self.wait_for(f"sidecar of {name}", pod.admin, "/ready", status=200)
        self.wait_for("gateway", ADMIN, "/ready", status=200)

    def start_proxy(
        self, proxy: list[str], folder: Path, name: str, config: str, account: str, own: dict[int, int]
    ) -> None:
        """`own`: the ports that the configuration names, and those that this proxy has."""
        path = folder / f"{name.rsplit(maxsplit=1)[-1]}.yaml"
        text = ports.moved(ports.moved((HERE / config).read_text(), own), self.port)
        path.write_text(text.replace("certs/me/", f"{folder}/certs/{account}/"))
        self.group.start(name, [*proxy, "-c", str(path)], path.with_suffix(".log"))

    def wait_for(self, name: str, port: int, path: str, status: int = 0) -> None:
        """Until ``name`` answers ``path`` on ``port``, with ``status`` where one is given."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            self.group.check()
            try:
                if self.get(port, path)[0] == status or not status:
                    return
            except (OSError, http.client.HTTPException):
                pass  # not there yet: asked again until START_S is over
            time.sleep(0.05)
        raise Trouble(f"{name} does not answer on 127.0.0.1:{self.port[port]} after {START_S:.0f} s")

    def get(self, port: int, path: str, user: str = "", method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port[port], timeout=20)
        try:
            connection.request(method, path, headers={"end-user": user} if user else {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def page(self, user: str = "") -> tuple[int, str]:
        """Status and HTML of the product page."""
        return self.get(EDGE, "/productpage", user)

    def version(self, user: str = "") -> str:
        """The version of reviews that made a product page; "" where it has none."""
        status, page = self.page(user)
        if status != 200:
            raise Trouble(f"GET /productpage answered {status}")
        found = re.search(r"<small>(v\d)</small>", page)
        return found[1] if found else ""

    def admin(self, place: str, method: str, path: str) -> tuple[int, str]:
        """What the admin interface of a pod's sidecar answers."""
        return self.get(PODS[place].admin, path, method=method)

    def outbound(self, place: str) -> int:
        """The port where a pod calls others."""
        return self.port[PODS[place].outbound]

    def tell(self, place: str, path: str) -> None:
        """POST to a service itself, past all proxies."""
        self.get(PODS[place].service, path, method="POST")

    def show(self, folder: Path) -> None:
        """Ask what a visitor would ask, and print what came back."""
        edge, admin = (f"http://127.0.0.1:{self.port[port]}" for port in (EDGE, ADMIN))
        sidecar, ratings = (f"http://127.0.0.1:{self.port[PODS[name].admin]}" for name in ("productpage", "ratings"))
        away = f"http://127.0.0.1:{self.port[PODS['ratings'].service]}/away"
        status, page = self.page()
        title = re.search(r"<title>(.*?)</title>", page)
        split = Counter(self.version() for _ in range(20))
        jason = Counter(self.version("jason") for _ in range(5))
        split_text = ", ".join(f"{count} × {name} ({STARS[name]})" for name, count in sorted(split.items()))
        jason_text = ", ".join(f"{count} × {name} ({STARS[name]})" for name, count in sorted(jason.items()))
        print(
            f"""
Bookinfo is running. What it answered just now:
  GET /productpage              {status}, {title[1] if title else "no title"}
  20 times, anybody             reviews {split_text}
  5 times, end-user: jason      reviews {jason_text}

Open    {edge}/productpage   (reload: the stars change; sign in as jason, sleepy or grumpy)
        {sidecar}/   (the page of the product page's sidecar: what is up, what fails, who talks to whom)
        {admin}/   (that of the gateway)
Try     curl -s {edge}/productpage -H 'end-user: jason' | grep -o 'v[0-9]</small>'
        curl -s {ratings}/peers   (who calls ratings, by the names in their certificates)
        curl -s -X POST "{sidecar}/runtime_modify?reviews.reviews-v1=0&reviews.reviews-v3=100"   (red stars for all)
        curl -s -X POST {away}   (ratings is gone for a minute: look at {ratings}/)
        curl -s {sidecar}/failures
        tail -f {folder}/productpage.log   (its sidecar's log: who calls it, and whom it calls)
        make run ARGS=--tour   (shifts traffic, injects faults, trips a breaker, ejects a pod, and shows each)
""",
            flush=True,
        )

    def stay(self) -> None:
        print("Ctrl-C stops everything.", flush=True)
        while True:
            self.group.check()
            time.sleep(0.5)


def certify(folder: Path) -> None:
    """The two lines that give every workload its certificate."""
    command = [sys.executable, "-m", "meshproxy", "ca"]
    for verb in (["init"], ["issue", *(f"default/{account}" for account in ACCOUNTS)]):
        done = subprocess.run([*command, verb[0], "--dir", str(folder), *verb[1:]], capture_output=True, text=True)
        if done.returncode:
            raise Trouble(done.stderr.strip())


def choose_ports(free: bool) -> dict[int, int]:
    """For each port that the configurations name, the one to use."""
    if free:
        return ports.free(PORTS)
    taken = [port for port in PORTS if port in ports.listening()]
    if taken:
        listed = ", ".join(f"127.0.0.1:{port}" for port in taken)
        raise Trouble(f"in use already: {listed}. Stop what listens there, or: make run ARGS=--free-ports")
    return {port: port for port in PORTS}


def stop(*_: object) -> NoReturn:
    raise Stop


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description="Bookinfo as a mesh")
    parser.add_argument("--once", action="store_true", help="show the answers and stop")
    parser.add_argument("--tour", action="store_true", help="show what a mesh is for, too: five stops, half a minute")
    parser.add_argument("--free-ports", action="store_true", help="any free ports, not those of the configurations")
    parser.add_argument("--proxy", default=f"{sys.executable} -m meshproxy", help="the command that takes -c FILE")
    options = parser.parse_args()
    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        bookinfo = Bookinfo(choose_ports(options.free_ports))
        with tempfile.TemporaryDirectory(prefix="bookinfo-") as folder:
            try:
                bookinfo.start(shlex.split(options.proxy), Path(folder))
                bookinfo.show(Path(folder))
                if options.tour:
                    tour(bookinfo)
                if not options.once:
                    bookinfo.stay()
            finally:
                # Before the folder goes: the proxies watch what is in it. Who is impatient must not leave half of them.
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
                bookinfo.group.stop()
    except Trouble as trouble:
        print(f"bookinfo: {trouble}", file=sys.stderr)
        return 1
    except Stop:
        print("\nStopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
