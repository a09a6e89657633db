"""Pods as the kernel knows them: network namespaces on one switch, and processes in them that are not root.

A namespace lives as long as the process that holds it, which ends with the test run, however that ends; nothing has a
name on the machine itself, so any number of test runs can be under way. Needs root, iproute2 and util-linux.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from tests.parity.proxies import REPOSITORY, find_envoy

ROOT, APP, PROXY = 0, 1000, 1337
# As container engines do: port 80 is for everybody.
_LOW_PORTS = "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start"
_PROGRAMS = ("ip", "iptables", "unshare", "nsenter", "setpriv", "curl")


@cache
def missing() -> str:
    """Why there can be no pods here; empty where there can."""
    if os.geteuid():
        return "network namespaces need root"
    lacking = [name for name in _PROGRAMS if shutil.which(name, path=search_path()) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    # Root of a container may not be allowed to.
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True, check=False)
    return f"no network namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def search_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"


class Namespace:
    """A network and a mount namespace. In the latter, what the processes of a test need can be read by anybody."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._started: list[subprocess.Popen[Any]] = []
        script = f"set -e\n{_readable()}\nip link set lo up\n{_LOW_PORTS}\necho ready\nexec cat"
        # It waits for the end of a pipe that the kernel closes when this process is gone.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(),
        )  # fmt: skip
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            self.close()
            raise OSError(f"no namespace for {name}: see above for what failed")

    @property
    def pid(self) -> int:
        return self._holder.pid

    def command(
        self, user: int, words: Sequence[str | Path], group: int | None = None, caps: Sequence[str] | None = None
    ) -> list[str]:
        """`words` inside, as that user with these capabilities (`net_admin`) and no others. group: the user's if None.

        caps None: none, but for root, who then has all.
        """
        inside = ["nsenter", f"--target={self.pid}", "--net", "--mount", f"--wd={REPOSITORY}", "--"]
        # Whatever is started ends with the thread that started it: nothing outlives a test run that was killed.
        limits = ["setpriv", "--pdeathsig=KILL"]
        if user != ROOT or caps is not None:
            kept = ",".join(["-all", *[f"+{cap}" for cap in caps or ()]])
            limits += [
                f"--reuid={user}", f"--regid={user if group is None else group}", "--clear-groups", "--no-new-privs",
                f"--inh-caps={kept}", f"--ambient-caps={kept}", f"--bounding-set={kept}",
            ]  # fmt: skip
        return [*inside, *limits, "--", *map(str, words)]

    def run(
        self, user: int, *words: str | Path, text: str | None = None, group: int | None = None,
        caps: Sequence[str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":  # fmt: skip
        """Runs to its end; standard output and error are kept."""
        return subprocess.run(
            self.command(user, words, group, caps), input=text or "", capture_output=True, text=True, timeout=60,
            env=_environment(), check=False,
        )  # fmt: skip

    def start(
        self, user: int, *words: str | Path, out: IO[bytes], group: int | None = None,
        caps: Sequence[str] | None = None,
    ) -> "subprocess.Popen[bytes]":  # fmt: skip
        """Runs until the namespace is closed."""
        os.fchown(out.fileno(), user, -1)
        process = subprocess.Popen(
            self.command(user, words, group, caps), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env=_environment(),
        )  # fmt: skip
        self._started.append(process)
        return process

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self) -> None:
        for process in self._started:
            process.kill()
        for process in self._started:
            process.wait()
        self._holder.kill()
        self._holder.wait()
        for pipe in (self._holder.stdin, self._holder.stdout):
            if pipe is not None:
                pipe.close()


class Switch(ExitStack):
    """Namespaces that reach each other; `with Switch() as switch: pod = switch.pod("a", "10.0.0.2/8")`."""

    def __init__(self) -> None:
        super().__init__()
        self._space = Namespace("switch")
        self.callback(self._space.close)
        self._ports = 0
        self._ip(self._space, "link add br0 type bridge", "link set br0 up")

    def pod(self, name: str, *addresses: str) -> Namespace:
        """addresses: with their prefix length; everything beyond is on the same link."""
        pod = Namespace(name)
        self.callback(pod.close)
        port = f"port{self._ports}"
        self._ports += 1
        self._ip(
            self._space,
            f"link add {port} type veth peer name eth0 netns {pod.pid}",
            f"link set {port} master br0 up",
        )
        given = [f"address add {one} dev eth0{' nodad' if ':' in one else ''}" for one in addresses]
        # Also for what rules will capture: it has to have somewhere to go before they are asked.
        routes = {f"route add {'::/0' if ':' in one else '0.0.0.0/0'} dev eth0": None for one in addresses}
        self._ip(pod, "link set eth0 up", *given, *routes)
        return pod

    @staticmethod
    def _ip(space: Namespace, *lines: str) -> None:
        done = space.run(ROOT, "ip", "-batch", "-", text="\n".join(lines) + "\n")
        assert done.returncode == 0, done.stderr


@contextmanager
def folder() -> Iterator[Path]:
    """One that every user may write to."""
    with tempfile.TemporaryDirectory(prefix="meshproxy-") as name:
        os.chmod(name, 0o777)
        yield Path(name)


def _environment() -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{search_path()}", "LANG": "C.UTF-8", "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "HOME": "/",
    }  # fmt: skip


def _readable() -> str:
    """Shell that opens folders which only root may enter (an interpreter below /root) for these namespaces alone.

    Such a folder is covered by an empty one, and what is needed of it is bound to its old place.
    """
    envoy = find_envoy()
    needed = {Path(sys.prefix), Path(sys.base_prefix).resolve(), REPOSITORY, Path(sys.executable).resolve().parents[1]}
    needed |= {Path(envoy).resolve().parents[1]} if envoy else set()
    closed: dict[Path, list[Path]] = {}
    for path in sorted(needed):
        shut = next((one for one in reversed(path.parents) if not one.stat().st_mode & 0o001), None)
        if shut is not None and not any(path.is_relative_to(other) for other in closed.get(shut, ())):
            closed.setdefault(shut, []).append(path)
    if not closed:
        return ""
    lines = ["aside=$(mktemp -d)", "mount -t tmpfs none $aside"]
    for shut, paths in closed.items():
        for i, path in enumerate(paths):
            lines.append(f"mkdir $aside/{i}; mount --rbind '{path}' $aside/{i}")
        lines.append(f"mount -t tmpfs -o mode=755 none '{shut}'")
        for i, path in enumerate(paths):
            lines.append(f"mkdir -p '{path}'; mount --rbind $aside/{i} '{path}'")
            lines.append(f"umount -l $aside/{i}; rmdir $aside/{i}")
    return "\n".join([*lines, "umount -l $aside", "rmdir $aside"])
