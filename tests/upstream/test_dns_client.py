"""The resolver that asks name servers itself, against one that answers as it is told."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.upstream.dns import DnsSettings, StrictDns
from meshproxy.upstream.dns_client import DnsClient
from meshproxy.upstream.dns_message import AAAA, A, BadMessage, parse_reply, question
from meshproxy.upstream.dns_names import Found, LookupFailed, SystemNames
from meshproxy.upstream.endpoint import Endpoint
from tests.upstream.dns_server import NO_ERROR, NO_SUCH_NAME, SERVER_FAILURE, NameServer, name_server
from tests.upstream.fakes import make_cluster, until

BOTH = ["10.0.0.1", "10.0.0.2", "::7"]


def run(work: Callable[[NameServer], Awaitable[None]]) -> None:
    async def with_server() -> None:
        async with name_server() as server:
            server.names["shop.test"] = (BOTH, 30)
            await asyncio.wait_for(work(server), 30)

    asyncio.run(with_server())


def client(server: NameServer, tmp_path: Path, resolv: str = "", hosts: str = "") -> DnsClient:
    (tmp_path / "resolv").write_text(resolv)
    (tmp_path / "hosts").write_text(hosts)
    system = SystemNames(str(tmp_path / "resolv"), str(tmp_path / "hosts"))
    return DnsClient([("127.0.0.1", server.port)], timeout=0.2, tries=1, system=system)


@pytest.mark.parametrize(
    ("family", "addresses", "kinds"),
    [
        ("V4_ONLY", BOTH[:2], [A]),
        ("V6_ONLY", BOTH[2:], [AAAA]),
        ("AUTO", BOTH[2:], [AAAA]),
        ("V4_PREFERRED", BOTH[:2], [A]),
        ("ALL", BOTH, [A, AAAA]),
    ],
)
def test_families(family: str, addresses: list[str], kinds: list[int], tmp_path: Path) -> None:
    async def work(server: NameServer) -> None:
        assert await client(server, tmp_path)("shop.test", family) == Found(addresses, 30)
        assert [kind for _, kind, _ in server.asked] == kinds

    run(work)


def test_the_other_family_where_the_first_has_nothing(tmp_path: Path) -> None:
    async def work(server: NameServer) -> None:
        server.names["shop.test"] = (["10.0.0.9"], 5)
        assert await client(server, tmp_path)("shop.test", "AUTO") == Found(["10.0.0.9"], 5)

    run(work)


def test_a_name_that_does_not_exist_has_no_addresses(tmp_path: Path) -> None:
    async def work(server: NameServer) -> None:
        assert await client(server, tmp_path)("other.test", "ALL") == Found([], 0)

    run(work)


@pytest.mark.parametrize("code", [SERVER_FAILURE, None])
def test_a_server_in_trouble_tells_nothing(code: int | None, tmp_path: Path) -> None:
    async def work(server: NameServer) -> None:
        server.code = code
        resolver = client(server, tmp_path)
        resolver.tries = 2
        with pytest.raises(LookupFailed):
            await resolver("shop.test", "V4_ONLY")
        assert len(server.asked) == 2

    run(work)


def test_the_next_server_is_asked(tmp_path: Path) -> None:
    async def work(server: NameServer) -> None:
        resolver = client(server, tmp_path)
        # Nothing listens on port 1: the kernel says so.
        resolver.servers = [("127.0.0.1", 1), *resolver.servers]
        assert (await resolver("shop.test", "V4_ONLY")).addresses == BOTH[:2]

    run(work)


def test_long_answers_come_over_tcp(tmp_path: Path) -> None:
    async def work(server: NameServer) -> None:
        server.truncate = True
        assert (await client(server, tmp_path)("shop.test", "V4_ONLY")).addresses == BOTH[:2]
        assert [way for _, _, way in server.asked] == ["udp", "tcp"]
        server.asked.clear()
        resolver = client(server, tmp_path)
        resolver.tcp = True
        await resolver("shop.test", "V4_ONLY")
        assert [way for _, _, way in server.asked] == ["tcp"]

    run(work)


@pytest.mark.parametrize(
    ("name", "search", "asked"),
    [
        ("shop", True, ["shop.a.test", "shop.test"]),
        ("x.y.z", True, ["x.y.z", "x.y.z.a.test", "x.y.z.test"]),
        ("shop.", True, ["shop"]),
        ("shop", False, ["shop"]),
    ],
)
def test_search_domains(name: str, search: bool, asked: list[str], tmp_path: Path) -> None:
    async def work(server: NameServer) -> None:
        resolver = client(server, tmp_path, "search a.test test\noptions ndots:2\n")
        resolver.search = search
        await resolver(name, "V4_ONLY")
        assert [each for each, _, _ in server.asked] == asked

    run(work)


def test_hosts_and_addresses_need_no_server(tmp_path: Path) -> None:
    async def work(server: NameServer) -> None:
        resolver = client(server, tmp_path, hosts="10.1.1.1 here also # comment\n::9 HERE\nnonsense x\n")
        assert (await resolver("here", "V4_ONLY")).addresses == ["10.1.1.1"]
        assert (await resolver("Here.", "ALL")).addresses == ["10.1.1.1", "::9"]
        assert (await resolver("192.0.2.1", "V4_ONLY")).addresses == ["192.0.2.1"]
        assert not server.asked

    run(work)


@pytest.mark.parametrize("name", ["a..b", "x" * 64, ".".join(["x" * 60] * 5), ""])
def test_what_is_no_host_name_fails(name: str, tmp_path: Path) -> None:
    async def work(server: NameServer) -> None:
        with pytest.raises(LookupFailed):
            await client(server, tmp_path)(name, "V4_ONLY")

    run(work)


def test_the_system_is_asked_for_its_servers(tmp_path: Path) -> None:
    path = tmp_path / "resolv"
    path.write_text("# comment\nnameserver 10.0.0.53\nnameserver ::53\nnameserver nonsense\nnameserver\n")
    assert SystemNames(str(path)).servers() == [("10.0.0.53", 53), ("::53", 53)]
    assert SystemNames(str(tmp_path / "none")).servers() == [("127.0.0.1", 53)]


def test_endpoints_outlive_every_trouble_of_the_server(tmp_path: Path) -> None:
    """As Envoy does: only the word that there is no such name empties a STRICT_DNS cluster."""

    async def work(server: NameServer) -> None:
        cluster = make_cluster()
        stats = cluster.stats
        resolver = client(server, tmp_path)
        resolver.timeout = 0.02
        settings = DnsSettings(refresh=0.001, family="V4_ONLY")
        discovery = StrictDns(cluster, [Endpoint(("shop.test", 80))], settings, resolver)
        discovery.start()
        await until(lambda: len(cluster.endpoints) == 2)
        for trouble in (SERVER_FAILURE, None, SERVER_FAILURE):
            failures = int(stats.update_failure)
            server.code = trouble
            await until(lambda before=failures: stats.update_failure > before + 2)
            assert [each.address[0] for each in cluster.endpoints] == BOTH[:2]
            server.code = NO_ERROR
            quiet = int(stats.update_no_rebuild)
            await until(lambda before=quiet: stats.update_no_rebuild > before)
        assert stats.membership_change == 1
        server.code = NO_SUCH_NAME
        await until(lambda: not cluster.endpoints)
        server.code = NO_ERROR
        await until(lambda: len(cluster.endpoints) == 2)
        discovery.close()
        counts = discovery.counts
        assert counts.get_addr_failure > 0 and counts.timeouts > 0 and counts.not_found > 0
        assert counts.resolve_total == stats.update_attempt
        await until(lambda: not counts.pending_resolutions)

    run(work)


def answer(asked: bytes, records: bytes, count: int) -> bytes:
    return asked[:2] + struct.pack(">5H", 0x8180, 1, count, 0, 0) + asked[12:] + records


def test_an_alias_may_hold_shorter_than_its_addresses() -> None:
    asked = question("shop.test", A, 7)
    alias = b"\xc0\x0c" + struct.pack(">2HIH", 5, 1, 9, 2) + b"\xc0\x0c"
    address = b"\xc0\x0c" + struct.pack(">2HIH", A, 1, 300, 4) + b"\x0a\0\0\1"
    reply = parse_reply(answer(asked, alias + address, 2), asked)
    assert (reply.addresses, reply.ttl) == (["10.0.0.1"], 9)


@given(st.binary(max_size=80), st.integers(0, 4))
def test_no_answer_breaks_it(records: bytes, count: int) -> None:
    asked = question("shop.test", A, 7)
    for data in (records, answer(asked, records, count)):
        try:
            parse_reply(data, asked)
        except BadMessage:
            continue


def test_answers_to_other_questions_are_none() -> None:
    asked, other = question("shop.test", A, 7), question("shop.test", AAAA, 7)
    for data in (answer(other, b"", 0), answer(question("shop.test", A, 8), b"", 0), b"", asked):
        with pytest.raises(BadMessage):
            parse_reply(data, asked)
    # Some servers write the name in another case.
    parse_reply(answer(question("SHOP.test", A, 7), b"", 0), asked)
