"""An example as its header describes it, run on free ports."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from examples import ports
from tests.parity.proxies import FLAGS, REPOSITORY, command

EXAMPLES = REPOSITORY / "examples"
START_S = 30.0
LOG_S = 10.0
_LINE = re.compile(r"# (Needs|Run|Try|Gives|Logs): +(.*)")


@dataclass
class Try:
    """A command line, and texts that its output and the proxy's output contain."""

    command: str
    gives: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)


@dataclass
class Example:
    """A configuration under examples/; ``needs`` are the commands to start before it."""

    path: Path
    text: str
    needs: list[str]
    tries: list[Try]


def read(path: Path) -> Example:
    text = path.read_text()
    example = Example(path, text, [], [])
    for word, rest in _LINE.findall(text):
        match word:
            case "Needs":
                example.needs.append(rest)
            case "Try":
                example.tries.append(Try(rest))
            case "Gives":
                example.tries[-1].gives.append(rest)
            case "Logs":
                example.tries[-1].logs.append(rest)
    return example


def find() -> list[Path]:
    """Every configuration that says how to try it, on both proxies."""
    return [path for path in configurations() if "# Try:" in path.read_text()]


def configurations() -> list[Path]:
    """Every configuration that both proxies take: all but that of a filter in Python."""
    return sorted(path for path in EXAMPLES.rglob("*.yaml") if path.parent.name != "filters")


@contextmanager
def started(
    arguments: list[str], output: Path, env: dict[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    with output.open("wb") as out:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=REPOSITORY, env=env
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Running:
    """A proxy with an example's configuration, its needs started."""

    def __init__(self, moved: dict[int, int], output: Path) -> None:
        self.moved, self.output = moved, output

    def run(self, line: str) -> str:
        """What ``line`` prints."""
        moved = ports.moved(line, self.moved)
        done = subprocess.run(["bash", "-c", moved], capture_output=True, timeout=60, cwd=REPOSITORY)
        return (done.stdout + done.stderr).decode(errors="replace")

    def logged(self, text: str) -> bool:
        """Whether the proxy prints ``text``, now or within LOG_S."""
        until = time.monotonic() + LOG_S
        while text not in self.output.read_text():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True


@contextmanager
def running(example: Example, proxy: str, env: dict[str, str] | None = None) -> Iterator[Running]:
    moved = ports.free(ports.named(example.text))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="example-")))
        for number, need in enumerate(example.needs):
            words = re.sub(r"--port (\d+)", lambda found: f"--port {moved[int(found[1])]}", need).split()
            stack.enter_context(started([sys.executable, *words[1:]], folder / f"need-{number}"))
        config, output = folder / "config.yaml", folder / "output"
        config.write_text(ports.moved(example.text, moved))
        process = stack.enter_context(started([*command(proxy), "-c", str(config), *FLAGS], output, env))
        until = time.monotonic() + START_S
        while not set(moved.values()) <= ports.listening():
            assert process.poll() is None and time.monotonic() < until, output.read_text()
            time.sleep(0.01)
        yield Running(moved, output)
