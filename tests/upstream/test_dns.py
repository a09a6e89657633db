"""Endpoints from names, with a resolver that answers by script."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.dns import DnsSettings, LogicalDns, StrictDns, lookup
from meshproxy.upstream.dns_names import Found, LookupFailed
from meshproxy.upstream.endpoint import Endpoint
from tests.upstream.fakes import make_cluster, until

FAIL = LookupFailed("test")
Answer = list[str] | LookupFailed


class Script:
    """Answers one lookup after the other; the last answer holds. `gate` lets them through one at a time."""

    def __init__(self, **answers: list[Answer]) -> None:
        self.answers = answers
        self.asked = 0
        self.ttl = 0

    async def __call__(self, name: str, family: str) -> Found:
        self.asked += 1
        left = self.answers[name.partition(".")[0]]
        answer = left.pop(0) if len(left) > 1 else left[0]
        await asyncio.sleep(0)
        if isinstance(answer, LookupFailed):
            raise answer
        return Found(answer, self.ttl)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def names(*hosts: str) -> list[Endpoint]:
    return [Endpoint((host, 80), hostname=host) for host in hosts]


def addresses(cluster: Cluster) -> list[str]:
    return sorted(endpoint.address[0] for endpoint in cluster.endpoints)


FAST = DnsSettings(refresh=0.001)


def test_strict_dns_uses_every_address_of_every_name() -> None:
    async def work() -> None:
        cluster = make_cluster()
        script = Script(a=[["10.0.0.1", "10.0.0.2"]], b=[["10.0.0.3"]])
        discovery = StrictDns(cluster, names("a.test", "b.test"), DnsSettings(), script)
        discovery.start()
        await discovery.wait()
        assert addresses(cluster) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        assert cluster.endpoints[2].hostname == "b.test"
        stats = cluster.stats
        assert (stats.update_attempt, stats.update_success, stats.update_failure) == (2, 2, 0)
        discovery.close()

    run(work())


@pytest.mark.parametrize("kind", [StrictDns, LogicalDns])
def test_a_failure_keeps_the_last_good_endpoints(kind: type[StrictDns]) -> None:
    async def work() -> None:
        cluster = make_cluster()
        discovery = kind(cluster, names("a.test"), FAST, Script(a=[["10.0.0.1"], FAIL]))
        discovery.start()
        await until(lambda: cluster.stats.update_failure > 2)
        assert addresses(cluster) == ["10.0.0.1"]
        discovery.close()

    run(work())


def test_no_address_empties_a_strict_cluster() -> None:
    async def work() -> None:
        cluster = make_cluster()
        discovery = StrictDns(cluster, names("a.test"), FAST, Script(a=[["10.0.0.1"], []]))
        discovery.start()
        await discovery.wait()
        await until(lambda: not cluster.endpoints)
        assert cluster.stats.update_failure == 0
        discovery.close()

    run(work())


def test_no_address_is_a_failure_of_a_logical_cluster() -> None:
    async def work() -> None:
        cluster = make_cluster()
        discovery = LogicalDns(cluster, names("a.test"), FAST, Script(a=[["10.0.0.1"], []]))
        discovery.start()
        await until(lambda: cluster.stats.update_failure > 1)
        assert addresses(cluster) == ["10.0.0.1"]
        discovery.close()

    run(work())


def test_an_answer_that_says_the_same_rebuilds_nothing() -> None:
    async def work() -> None:
        cluster = make_cluster()
        answers: list[Answer] = [["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "10.0.0.1"]]
        discovery = StrictDns(cluster, names("a.test"), FAST, Script(a=answers))
        discovery.start()
        await until(lambda: cluster.stats.update_no_rebuild > 1)
        assert cluster.stats.membership_change == 1
        discovery.close()

    run(work())


def test_a_logical_endpoint_moves_and_stays_the_same() -> None:
    async def work() -> None:
        cluster = make_cluster()
        discovery = LogicalDns(cluster, names("a.test"), FAST, Script(a=[["10.0.0.1", "10.0.0.9"], ["10.0.0.2"]]))
        discovery.start()
        await discovery.wait()
        endpoint = cluster.endpoints[0]
        assert endpoint.address == ("10.0.0.1", 80)
        pool = cluster.pool(endpoint)
        await until(lambda: endpoint.address == ("10.0.0.2", 80))
        assert endpoint.address_text == "10.0.0.2:80"
        assert cluster.endpoints[0].pools[0] is pool
        assert cluster.stats.membership_change == 2
        discovery.close()

    run(work())


def test_waiting_ends_with_a_first_answer_even_a_bad_one() -> None:
    async def work() -> None:
        cluster = make_cluster()
        discovery = StrictDns(cluster, names("a.test"), DnsSettings(), Script(a=[FAIL]))
        discovery.start()
        await discovery.wait()
        assert cluster.stats.update_failure == 1
        discovery.close()

    run(work())


def test_failures_are_repeated_at_their_own_rate() -> None:
    async def work() -> None:
        cluster = make_cluster()
        settings = DnsSettings(refresh=3600, failure_base=0.001, failure_max=0.002)
        discovery = StrictDns(cluster, names("a.test"), settings, Script(a=[FAIL, FAIL, FAIL, ["10.0.0.1"]]))
        discovery.start()
        await until(lambda: bool(cluster.endpoints))
        assert cluster.stats.update_failure == 3
        discovery.close()

    run(work())


def test_the_systems_resolver() -> None:
    async def work() -> None:
        assert (await lookup("localhost", "V4_ONLY")).addresses == ["127.0.0.1"]
        assert (await lookup("127.0.0.9", "AUTO")).addresses == ["127.0.0.9"]
        assert (await lookup("::1", "ALL")).addresses == ["::1"]
        with pytest.raises(LookupFailed):
            await lookup("a" * 70 + ".test", "AUTO")

    run(work())


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("AUTO", ["::1", "::2"]),
        ("V4_PREFERRED", ["10.0.0.1"]),
        ("ALL", ["::1", "::2", "10.0.0.1"]),
    ],
)
def test_families(family: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async def both(*_: Any, **__: Any) -> list[Any]:
            return [(0, 0, 0, "", (address, 0)) for address in ("10.0.0.1", "::1", "::2", "10.0.0.1")]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
        assert (await lookup("a.test", family)).addresses == expected

    run(work())


def test_names_are_looked_up_again_when_their_addresses_expire() -> None:
    async def work() -> None:
        cluster = make_cluster()
        script = Script(a=[["10.0.0.1"]])
        script.ttl = 3600
        settings = DnsSettings(refresh=0.001, respect_ttl=True)
        discovery = StrictDns(cluster, names("a.test"), settings, script)
        discovery.start()
        await discovery.wait()
        # Many refreshes of a millisecond would have passed.
        await asyncio.sleep(0.05)
        assert script.asked == 1
        discovery.close()
        script.ttl = 0
        again = StrictDns(cluster, names("a.test"), settings, script)
        again.start()
        await until(lambda: script.asked > 3)
        again.close()

    run(work())


def test_thousands_of_addresses_change_in_turns() -> None:
    async def work() -> None:
        cluster = make_cluster()
        many = [f"10.1.{i >> 8}.{i & 255}" for i in range(2000)]
        script = Script(a=[many, many[1:]], b=[["10.0.0.1"]])
        discovery = StrictDns(cluster, names("a.test", "b.test"), FAST, script)
        discovery.start()
        await until(lambda: len(cluster.endpoints) == 2000)
        discovery.close()
        assert addresses(cluster) == sorted(["10.0.0.1", *many[1:]])
        assert cluster.balancer.pick(None) in cluster.endpoints

    run(work())
