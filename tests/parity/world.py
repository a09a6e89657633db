"""A proxy process with the scenarios it was configured for, and one run of each."""

import asyncio
import json
import re
import shutil
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import render
from .checks import CheckedServer
from .client import ADMIN, Client
from .normalise import Names, normalise
from .proxies import Proxy, StartFailure, get
from .render import Stage
from .scenario import DEFAULTS, Scenario
from .tls import pki_folder
from .upstreams import Flags, Upstreams, fill_queue, open_socket
from .wire import DEADLINE

Observation = dict[str, Any]
PORT = re.compile(r"\$\{port:(\w+)\}")
POLL = 0.01  # seconds between two looks at the stats
SETTLE_DEADLINE = 2.0  # seconds until every client connection of a finished script is gone from the proxy


class World:
    """One proxy of one kind serving `scenarios`, each behind its own listener and clusters.

    A proxy that refuses its configuration is started again without the scenarios that it named.
    """

    def __init__(self, kind: str, scenarios: Iterable[Scenario], folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.log = folder / "access.log"
        self.sockets: dict[str, dict[str, socket.socket]] = {}  # scenario -> upstream -> listening socket
        self.reserved: list[socket.socket] = []
        self.refused: dict[str, str] = {}  # scenario -> what the proxy printed about it
        self.checked: dict[str, dict[str, CheckedServer]] = {}  # scenario -> upstream -> who answers its checks
        self.flush_port = self._reserve()
        self.stages = {scenario.name: self._stage(index, scenario) for index, scenario in enumerate(scenarios)}
        self.proxy = Proxy(kind, folder)
        self.marks = 0

    def _stage(self, index: int, scenario: Scenario) -> Stage:
        id = f"s{index:03}x"
        folder = self.folder / id
        folder.mkdir(parents=True)
        for name, text in scenario.files.items():
            (folder / name).write_text(render.fill_pki(text.replace("${dir}", str(folder))))
        for name, origin in scenario.copies.items():
            shutil.copy(pki_folder() / origin, folder / name)
        sockets = {
            name: open_socket(script, folder / f"{name}.sock") for name, script in scenario.upstreams.items()
        }
        self.sockets[scenario.name] = sockets
        for name, script in scenario.upstreams.items():
            if script.listen == "blackhole":
                self.reserved += fill_queue(sockets[name])
        ports = {name: sock.getsockname()[1] for name, sock in sockets.items() if sock.family != socket.AF_UNIX}
        wanted = {"in", *PORT.findall(scenario.text)} - ports.keys()
        stage = Stage(scenario, id, {name: self._reserve() for name in sorted(wanted)} | ports, folder)
        self.checked[scenario.name] = {
            name: CheckedServer(name, script, sockets[name], stage.fill)
            for name, script in scenario.upstreams.items()
            if script.answers
        }
        return stage

    def _reserve(self) -> int:
        """A port that nobody else gets: bound here too, but only the proxy listens on it."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        self.reserved.append(sock)
        return int(sock.getsockname()[1])

    async def start(self) -> None:
        for servers in self.checked.values():
            for server in servers.values():
                if not server.tasks:
                    server.start()
        while stages := [stage for name, stage in self.stages.items() if name not in self.refused]:
            self.log.write_text("")
            config = render.to_json(render.bootstrap(stages, self.log, self.flush_port))
            self.proxy = Proxy(self.kind, self.folder)
            try:
                await self.proxy.start(config, [flag for stage in stages for flag in stage.scenario.flags])
                return
            except StartFailure as failure:
                await self._refuse(stages, str(failure))

    async def _refuse(self, stages: list[Stage], text: str) -> None:
        """Blame the scenarios named in `text`; when it names none or all, ask about each of them alone."""
        blamed = {stage.scenario.name: _lines_with(stage.id, text) for stage in stages if stage.id in text}
        if len(blamed) in (0, len(stages)):
            blamed = {}
            for stage in stages if len(stages) > 1 else ():
                config = render.to_json(render.bootstrap([stage], self.log, self.flush_port))
                if complaint := await self.proxy.validate(config, stage.scenario.flags):
                    blamed[stage.scenario.name] = complaint
        self.refused |= blamed or {stage.scenario.name: text for stage in stages}

    async def run(self, scenario: Scenario) -> Observation:
        if scenario.name in self.refused:
            return {"refused": self.refused[scenario.name]}
        if not self.proxy.alive:
            await self.start()
        stage = self.stages[scenario.name]
        try:
            observation = await self._observe(stage)
        except ConnectionError as error:
            await asyncio.sleep(0)  # lets the process watcher notice a death
            await self.proxy.stop()
            return {"crashed": f"{error}\n{(self.folder / 'output').read_text(errors='replace')[-4000:]}"}
        return observation

    async def _observe(self, stage: Stage) -> Observation:
        scenario, flags = stage.scenario, Flags()
        checked = self.checked[scenario.name]
        serving = {name: script for name, script in scenario.upstreams.items() if name not in checked}
        upstreams = Upstreams(serving, self.sockets[scenario.name], flags, stage.fill)
        upstreams.start()

        async def until(wanted: Mapping[str, int]) -> str | None:
            return await self._until(wanted, stage, upstreams)

        assert self.proxy.admin is not None
        ports = {**stage.ports, ADMIN: self.proxy.admin[1]}

        def answer(name: str, wanted: str) -> None:
            checked[name].switch(wanted)

        client = Client(stage.fill, ports, flags, until, self._pass, answer, scenario.client_tls)
        start = self.log.stat().st_size
        try:
            await client.run(scenario.client)
        finally:
            settled = await self._close(client, stage)
            log = await self._log_lines(stage, start)
            stats = await self._stats(stage)
            seen = {**await upstreams.finish(), **{name: server.seen() for name, server in checked.items()}}
        masked = [re.compile(pattern) for pattern in scenario.mask_text]
        by_port = {port: name for name, port in ports.items()}
        names = Names(stage.id, by_port, str(stage.folder), scenario.text, masked)
        observation = {"client": client.outcome(), "upstreams": seen, "log": log, "stats": stats, **settled}
        return dict(normalise(observation, names, scenario.mask))

    async def _until(self, wanted: Mapping[str, int], stage: Stage, upstreams: Upstreams) -> str | None:
        """Until `upstream.<name>.<requests|connections>` and proxy stats have the wanted values; else the complaint."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DEADLINE
        while True:
            values = {**await self._all_stats(stage), **upstreams.counts()}
            found = {name: values.get(name, 0) for name in wanted}
            if found == dict(wanted):
                return None
            if loop.time() > deadline:
                return f"waited for {dict(wanted)}, found {found}"
            await asyncio.sleep(POLL)

    async def _close(self, client: Client, stage: Stage) -> Observation:
        """Close the client's connections one after the other, so that their log lines have an order."""
        remaining = len(client.connections)
        settled: Observation = {}
        for connection in client.connections.values():
            connection.wire.close()
            remaining -= 1
            settled = await self._settle(stage, remaining)
        return settled or await self._settle(stage, 0)

    async def _settle(self, stage: Stage, remaining: int) -> Observation:
        """Until the proxy holds no more than `remaining` connections: then the log lines of the others are written."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_DEADLINE
        filter = rf"^listener\.{stage.id}\w*\.downstream_(pre_)?cx_active$"
        while True:
            page = await self.proxy.ask(f"/stats?filter={filter}")
            if sum(int(line.rpartition(": ")[2]) for line in page.splitlines()) <= remaining:
                return {}
            if loop.time() > deadline:
                return {"unsettled": [line.replace(stage.id, "") for line in page.splitlines()]}
            await asyncio.sleep(POLL)

    async def _pass(self) -> str:
        """One request through the proxy's loop: what was due before it has been done. Returns the line it logs."""
        self.marks += 1
        mark = f"{render.FLUSH_PREFIX} {self.marks}\n"
        await get(("127.0.0.1", self.flush_port), "/", f"x-mark: {self.marks}")
        return mark

    async def _log_lines(self, stage: Stage, start: int) -> list[Any]:
        mark = await self._pass()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_DEADLINE
        while not (text := self.log.read_bytes()[start:].decode("latin-1")).endswith(mark) and mark not in text:
            if loop.time() > deadline:
                return ["the access log was not flushed"]
            await asyncio.sleep(0.003)
        lines = [line for line in text.split("\n") if stage.id in line]
        return [_log_entry(line, stage) for line in lines]

    async def _stats(self, stage: Stage) -> dict[str, Any]:
        wanted = re.compile("|".join(f"(?:{pattern})" for pattern in (*DEFAULTS["stats"], *stage.scenario.stats)))
        stats = await self._all_stats(stage)
        found: dict[str, Any] = {name: value for name, value in stats.items() if value and wanted.fullmatch(name)}
        used = re.compile("|".join(f"(?:{pattern})" for pattern in stage.scenario.used) or r"(?!)")
        return found | {name: "used" for name, value in stats.items() if value and used.fullmatch(name)}

    async def _all_stats(self, stage: Stage) -> dict[str, int]:
        """Counters and gauges of the scenario, or of the whole process where it has one of its own."""
        page = await self.proxy.ask("/stats" if stage.scenario.own_process else f"/stats?filter={stage.id}")
        pairs = (line.rpartition(": ")[::2] for line in page.splitlines())
        return {name.replace(stage.id, ""): int(value) for name, value in pairs if value.isdecimal()}

    async def stop(self) -> None:
        await self.proxy.stop()
        for servers in self.checked.values():
            for server in servers.values():
                await server.finish()
        for sock in self.reserved:
            sock.close()
        for sockets in self.sockets.values():
            for sock in sockets.values():
                sock.close()


def _log_entry(line: str, stage: Stage) -> Any:
    """The default format is compared field by field, a format of the scenario's own as the text it is."""
    if "log_format" in stage.scenario.config or not line.startswith("{"):
        return line.removeprefix(f"{stage.id} ")
    fields = json.loads(line)
    fields.pop("scenario", None)
    return fields


def _lines_with(id: str, text: str) -> str:
    return "\n".join(line for line in text.splitlines() if id in line)
