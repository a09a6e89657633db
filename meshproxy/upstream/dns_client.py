"""A resolver that asks name servers itself: it knows how long an answer holds, which the system's does not tell."""

import asyncio
import secrets
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from meshproxy.upstream.dns_message import AAAA, NO_ERROR, NO_SUCH_NAME, A, BadMessage, Reply, parse_reply, question
from meshproxy.upstream.dns_names import Found, LookupFailed, SystemNames

Server = tuple[str, int]

# Record types in the order in which they are asked for; with AUTO and V4_PREFERRED the second only where the first is
# not there.
_KINDS = {
    "V4_ONLY": (A,), "V6_ONLY": (AAAA,), "V4_PREFERRED": (A, AAAA), "ALL": (A, AAAA), "AUTO": (AAAA, A),
}  # fmt: skip


@dataclass(slots=True)
class DnsClient:
    """servers: in place of those of the system. timeout: seconds for each try. tcp: for all questions.

    search: whether domains of the system's are tried, too. rotate: whether each question begins with another server.
    """

    servers: Sequence[Server] = ()
    timeout: float = 5.0
    tries: int = 4
    tcp: bool = False
    search: bool = True
    rotate: bool = False
    system: SystemNames = field(default_factory=SystemNames)
    _turn: int = 0

    async def __call__(self, name: str, family: str) -> Found:
        """Raises LookupFailed where nobody knows whether there are addresses."""
        try:
            return Found([str(ip_address(name))], 0)
        except ValueError:
            known = self.system.hosts(name, family)
        if known:
            return Found(known, 0)
        for candidate in self.system.candidates(name, self.search):
            found = await self._addresses(candidate, family)
            if found.addresses:
                return found
        return Found([], 0)

    async def _addresses(self, name: str, family: str) -> Found:
        every: list[str] = []
        ttl = 0
        failed: LookupFailed | None = None
        for kind in _KINDS[family]:
            try:
                reply = await self._ask(name, kind)
            except LookupFailed as error:
                failed = error
                continue
            if reply.addresses:
                ttl = min(ttl, reply.ttl) if every else reply.ttl
                every += reply.addresses
                if family != "ALL":
                    break
        if failed is not None and not every:
            raise failed
        return Found(every, ttl)

    async def _ask(self, name: str, kind: int) -> Reply:
        reason, silent = "there is no name server", False
        for server in self._servers():
            try:
                asked = question(name, kind, secrets.randbits(16))
                reply = await self._exchange(server, asked)
            except UnicodeError as error:
                raise LookupFailed(f"{name}: not a host name") from error
            except TimeoutError:
                reason, silent = f"{server[0]} does not answer", True
                continue
            except (OSError, asyncio.IncompleteReadError, BadMessage) as error:
                reason = str(error) or type(error).__name__
                continue
            if reply.code in (NO_ERROR, NO_SUCH_NAME):
                return reply
            reason = f"{server[0]} answers with code {reply.code}"
        raise LookupFailed(f"{name}: {reason}", silent)

    def _servers(self) -> Iterator[Server]:
        """Each as often as there are tries."""
        servers = list(self.servers or self.system.servers())
        if self.rotate and servers:
            self._turn = (self._turn + 1) % len(servers)
            servers = servers[self._turn :] + servers[: self._turn]
        for _ in range(self.tries):
            yield from servers

    async def _exchange(self, server: Server, asked: bytes) -> Reply:
        async with asyncio.timeout(self.timeout):
            if not self.tcp:
                reply = await _over_udp(server, asked)
                if not reply.truncated:
                    return reply
            return await _over_tcp(server, asked)


class _Datagram(asyncio.DatagramProtocol):
    """Waits for the answer to one question; what is not that is passed over."""

    def __init__(self, asked: bytes, answer: "asyncio.Future[Reply]") -> None:
        self._asked = asked
        self._answer = answer

    def datagram_received(self, data: bytes, peer: Any) -> None:
        try:
            reply = parse_reply(data, self._asked)
        except BadMessage:
            return
        if not self._answer.done():
            self._answer.set_result(reply)

    def error_received(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)


async def _over_udp(server: Server, asked: bytes) -> Reply:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Reply] = loop.create_future()
    # A socket of its own, and so a port of its own, for each question: nobody can guess where an answer is expected.
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagram(asked, answer), remote_addr=server)
    try:
        transport.sendto(asked)
        return await answer
    finally:
        transport.close()


async def _over_tcp(server: Server, asked: bytes) -> Reply:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(struct.pack(">H", len(asked)) + asked)
        size = struct.unpack(">H", await reader.readexactly(2))[0]
        return parse_reply(await reader.readexactly(size), asked)
    finally:
        writer.close()


