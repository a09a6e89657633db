"""Servers that answer health checks, from before the proxy starts until it ends, as a script says at the moment."""

import json
import re
import socket
from typing import Any

from .scenario import ScenarioError, Step, UpstreamScript
from .upstreams import Connection, Fill, Flags, Upstream
from .wire import Wire

OF_PROXY_HEADER = re.compile(r"(PROXY TCP\d \S+ \S+) \d+ \d+")


class CheckedServer(Upstream):
    """Its answer is one of several that have names; the first one holds until a client's step says `answer`.

    How often a check comes depends on time. So each different thing that was seen is told once.
    """

    def __init__(self, name: str, script: UpstreamScript, sock: socket.socket, fill: Fill) -> None:
        super().__init__(name, script, sock, Flags(), fill)
        self.answer = next(iter(script.answers))

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.script.answers[self.answer]

    def switch(self, answer: str) -> None:
        if answer not in self.script.answers:
            raise ScenarioError(f"{self.name} has no answer {answer!r}")
        self.answer = answer

    def _connection(self, wire: Wire) -> Connection:
        return CheckedConnection(wire, self.steps, self)

    def seen(self) -> list[Any]:
        """What came so far."""
        found = set()
        for connection in self.connections:
            for entry in connection.outcome()[:-1]:
                found.add(OF_PROXY_HEADER.sub(r"\1 <port> <port>", json.dumps(entry)))
        return [json.loads(text) for text in sorted(found)]


class CheckedConnection(Connection):
    """Each request, or each time around, is answered as is the custom at the moment."""

    upstream: CheckedServer

    async def run(self) -> None:
        while not self.wire.over:
            if not self.wire.buffer and not await self.wire.fill():
                break
            for step in self.upstream.steps:
                if self._may(step):
                    await self._do(step)
        if not self.wire.closed_here:
            self.wire.half_close()
