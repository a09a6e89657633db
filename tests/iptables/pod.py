"""Network namespaces of our own, with a real kernel's rules in them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = ("iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy")


def can_make_pods() -> bool:
    made = subprocess.run(["unshare", "-n", "iptables", "-t", "nat", "-S"], capture_output=True, check=False)
    return made.returncode == 0


class Pod:
    """A namespace that lasts as long as a process holds it. ``addresses`` are on lo: nothing leaves it."""

    def __init__(self, addresses: Sequence[str] = ("10.9.9.9/32",)) -> None:
        self._holder = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._holder.stdin and self._holder.stdout
        # What comes back came through the namespace: it is there.
        self._holder.stdin.write(b"\n")
        self._holder.stdin.flush()
        self._holder.stdout.read(1)
        self.path = f"/proc/{self._holder.pid}/ns/net"
        self.run("ip", "link", "set", "lo", "up")
        for address in addresses:
            self.run("ip", "address", "add", address, "dev", "lo")

    def close(self) -> None:
        self._holder.communicate()

    def run(self, *command: str) -> str:
        """Output of a command in the pod; it must work."""
        done = self.attempt(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def attempt(self, *command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._inside(command),
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
        )

    def start(self, *flags: str, **environment: str) -> subprocess.Popen[bytes]:
        """`meshproxy iptables` with the flags, not waited for."""
        return subprocess.Popen(
            self._inside([sys.executable, "-m", "meshproxy", "iptables", *flags]),
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        )

    def _inside(self, command: Sequence[str]) -> list[str]:
        # By their paths: a test may have a PATH of its own.
        found = [shutil.which("nsenter") or "nsenter", f"--net={self.path}", shutil.which(command[0]) or command[0]]
        return [*found, *command[1:]]

    def init(self, *flags: str, user: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs `meshproxy iptables` with the flags."""
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        command = [*become, sys.executable, "-m", "meshproxy", "iptables", *flags]
        return self.attempt(*command, environment=environment)

    def apply(self, *flags: str, **environment: str) -> None:
        done = self.init(*flags, **environment)
        assert done.returncode == 0, done.stderr

    def refuse(self, *flags: str, user: int = 0, **environment: str) -> str:
        """The one line that says why not."""
        done = self.init(*flags, user=user, **environment)
        assert done.returncode == 1, done.stderr
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        _, level, text = line.split("\t")
        assert level == "error"
        return text

    def saved(self, program: str = "iptables-nft") -> list[str]:
        """What iptables-save says, without comments and counters."""
        lines = self.run(f"{program}-save").splitlines()
        return [line.partition(" [")[0] for line in lines if not line.startswith("#")]

    def rules(self, program: str = "iptables-nft") -> list[str]:
        return [line for line in self.saved(program) if line.startswith("-A")]

    def everything(self) -> list[str]:
        """All that the rules of all programs and the routes are: what must be as it was when something failed."""
        shown = [line for program in PROGRAMS for line in self.saved(program)]
        shown += self.run("nft", "list", "ruleset").splitlines()
        for command in ("rule", "-6 rule", "address", "route show table all", "-6 route show table all"):
            shown += self.run("ip", *command.split()).splitlines()
        return shown
