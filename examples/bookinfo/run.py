"""Bookinfo behind the proxy: starts everything, shows the answers once, stays until Ctrl-C, stops everything.

    python -m examples.bookinfo.run [--once] [--free-ports] [--proxy COMMAND]
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
from typing import IO, NoReturn

from examples import ports

HERE = Path(__file__).parent
EDGE, MESH, ADMIN = 8080, 8081, 9901
SERVICES = {
    "productpage": (9080, "productpage.py"),
    "details": (9081, "details.py"),
    "ratings": (9082, "ratings.py"),
    "reviews-v1": (9083, "reviews.py", "--version", "v1"),
    "reviews-v2": (9084, "reviews.py", "--version", "v2"),
    "reviews-v3": (9085, "reviews.py", "--version", "v3"),
}
STARS = {"v1": "no stars", "v2": "black stars", "v3": "red stars"}
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

    def start(self, name: str, command: list[str], output: IO[bytes] | None = None) -> None:
        # A session of its own: Ctrl-C reaches the runner alone, which then stops the proxy before the services.
        try:
            self.running[name] = subprocess.Popen(command, stdout=output, start_new_session=True)
        except OSError as error:
            raise Trouble(f"{name}: {shlex.join(command)}: {error.strerror}") from error

    def check(self) -> None:
        for name, process in self.running.items():
            if process.poll() is not None:
                raise Trouble(f"{name} ended with exit code {process.returncode}")

    def stop(self) -> None:
        for process in reversed(self.running.values()):
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Bookinfo:
    """One run, on the ports of gateway.yaml or on ``moved`` ones."""

    def __init__(self, moved: dict[int, int]) -> None:
        self.port = moved
        self.group = Group()

    def start(self, proxy: list[str], folder: Path) -> None:
        config, log = folder / "gateway.yaml", folder / "access.log"
        mesh = f"127.0.0.1:{self.port[MESH]}"
        for name, (port, script, *arguments) in SERVICES.items():
            options = ["--port", str(self.port[port]), "--mesh", mesh, *arguments]
            self.group.start(name, [sys.executable, str(HERE / script), *options])
        for name, (port, *_) in SERVICES.items():
            self.wait_for(name, port, "/")
        config.write_text(ports.moved((HERE / "gateway.yaml").read_text(), self.port))
        with log.open("wb") as output:
            self.group.start("proxy", [*proxy, "-c", str(config)], output)
        self.wait_for("proxy", ADMIN, "/ready", status=200)

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

    def get(self, port: int, path: str, user: str = "") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port[port], timeout=10)
        try:
            connection.request("GET", path, headers={"end-user": user} if user else {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def version(self, user: str = "") -> str:
        """The version of reviews that made a product page."""
        status, page = self.get(EDGE, "/productpage", user)
        found = re.search(r"<small>(v\d)</small>", page)
        if status != 200 or not found:
            raise Trouble(f"GET /productpage answered {status}, with no reviews on the page")
        return found[1]

    def show(self, folder: Path) -> None:
        """Ask what a visitor would ask, and print what came back."""
        ratings = self.port[SERVICES["ratings"][0]]
        edge, admin = (f"http://127.0.0.1:{self.port[port]}" for port in (EDGE, ADMIN))
        status, page = self.get(EDGE, "/productpage")
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

Open    {edge}/productpage   (reload: the stars change; sign in as jason: always black)
        {admin}/              (the dashboard: what is up, what fails, and why)
Try     curl -s {edge}/api/v1/products/0/reviews
        curl -s {edge}/productpage -H 'end-user: jason' | grep -o 'v[0-9]</small>'
        curl -s -X POST http://127.0.0.1:{ratings}/away   (ratings is gone for a minute: look at the dashboard)
        curl -s {admin}/failures
        curl -s {admin}/stats?filter=cluster.reviews
        tail -f {folder}/access.log
""",
            flush=True,
        )

    def stay(self) -> None:
        print("Ctrl-C stops everything.", flush=True)
        while True:
            self.group.check()
            time.sleep(0.5)


def choose_ports(free: bool) -> dict[int, int]:
    wanted = ports.named((HERE / "gateway.yaml").read_text())
    if free:
        return ports.free(wanted)
    taken = [port for port in wanted if port in ports.listening()]
    if taken:
        listed = ", ".join(f"127.0.0.1:{port}" for port in taken)
        raise Trouble(f"in use already: {listed}. Stop what listens there, or: make run ARGS=--free-ports")
    return {port: port for port in wanted}


def stop(*_: object) -> NoReturn:
    raise Stop


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description="Bookinfo behind the proxy")
    parser.add_argument("--once", action="store_true", help="show the answers and stop")
    parser.add_argument("--free-ports", action="store_true", help="any free ports, not those of gateway.yaml")
    parser.add_argument("--proxy", default=f"{sys.executable} -m meshproxy", help="the command that takes -c FILE")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    bookinfo = None
    try:
        bookinfo = Bookinfo(choose_ports(options.free_ports))
        with tempfile.TemporaryDirectory(prefix="bookinfo-") as folder:
            bookinfo.start(shlex.split(options.proxy), Path(folder))
            bookinfo.show(Path(folder))
            if not options.once:
                bookinfo.stay()
    except Trouble as trouble:
        print(f"bookinfo: {trouble}", file=sys.stderr)
        return 1
    except Stop:
        print("\nStopped.")
    finally:
        if bookinfo:
            bookinfo.group.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
