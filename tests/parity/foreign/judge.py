"""Both proxies with one configuration: verdicts, and what they answer."""

import asyncio
import json
import re
import socket
import tempfile
from pathlib import Path

from tests.parity.foreign.questions import Question, questions
from tests.parity.foreign.transplant import Tree, transplant
from tests.parity.normalise import Names, normalise
from tests.parity.proxies import Proxy, StartFailure
from tests.parity.wire import Wire, read_response

_LENGTH = re.compile(r"\bcontent-length:? \d+")
_TRIES = 12  # before answers that differ count: a weighted choice is made by chance
_FLAGS = ("--service-node", "judge", "--service-cluster", "judge")


class Verdicts:
    """What came of one configuration: `refusals` by proxy, how many questions were `asked`, which answers differ."""

    def __init__(self) -> None:
        self.refusals: dict[str, str] = {}
        self.asked = 0
        self.differences: list[tuple[str, Question, str, str]] = []

    @property
    def agree(self) -> bool:
        return not self.differences and len(self.refusals) in (0, 2)


async def judge(tree: Tree, upstream: int) -> Verdicts:
    """Runs `tree`, which is changed, through both; endpoints are at port `upstream`."""
    verdicts = Verdicts()
    entries = transplant(tree, upstream)
    with tempfile.TemporaryDirectory() as folder:
        proxies = []
        for kind in ("envoy", "meshproxy"):
            (Path(folder) / kind).mkdir()
            proxies.append(Proxy(kind, Path(folder) / kind))
        try:
            await asyncio.gather(*(_start(proxy, tree, verdicts) for proxy in proxies))
            if not verdicts.refusals:
                await _ask_all(proxies, entries, verdicts)
        finally:
            await asyncio.gather(*(proxy.stop() for proxy in proxies))
    return verdicts


async def _start(proxy: Proxy, tree: Tree, verdicts: Verdicts) -> None:
    try:
        await proxy.start(json.dumps(tree), _FLAGS)
    except StartFailure as failure:
        verdicts.refusals[proxy.kind] = str(failure)


async def _ask_all(proxies: list[Proxy], entries: dict[str, list[Tree]], verdicts: Verdicts) -> None:
    ports = [await _ports(proxy) for proxy in proxies]
    for name, hosts in entries.items():
        for question in questions(hosts):
            verdicts.asked += 1
            if (answers := await _difference([known.get(name, 0) for known in ports], question)) is not None:
                verdicts.differences.append((name, question, answers[0], answers[1]))


async def _difference(ports: list[int], question: Question) -> list[str] | None:
    """The answers of both, where the two have none in common."""
    seen: list[set[str]] = [set(), set()]
    for _ in range(_TRIES):
        answers = await asyncio.gather(*(_ask(port, question) for port in ports))
        for known, answer in zip(seen, answers, strict=True):
            known.add(answer)
        if seen[0] & seen[1]:
            return None
    return answers


async def _ports(proxy: Proxy) -> dict[str, int]:
    listeners = json.loads(await proxy.ask("/listeners?format=json")).get("listener_statuses", ())
    return {each["name"]: each["local_address"]["socket_address"]["port_value"] for each in listeners}


async def _ask(port: int, question: Question) -> str:
    """The answer as text; port 0 is a listener that is not there."""
    if not port:
        return "no such listener"
    sock = socket.socket()
    sock.setblocking(False)
    wire = Wire(sock)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        await wire.send(question.head())
        seen = (await read_response(wire, question.method)).seen()
    finally:
        wire.close()
    names = Names("\0", {port: "listener"}, "\0", "")
    # Service times, which are echoed, have lengths of their own.
    return _LENGTH.sub("content-length <n>", json.dumps(normalise(seen, names)))
