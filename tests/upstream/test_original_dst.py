"""Endpoints that are made of destinations, and how they go again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from meshproxy.net.connection import Connection
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.original_dst import DESTINATION, OriginalDst, parse_address
from tests.upstream.fakes import make_cluster

A, B = ("10.0.0.1", 80), ("10.0.0.2", 80)


def make() -> tuple[Cluster, OriginalDst]:
    cluster = make_cluster()
    balancer = cluster.balancer = OriginalDst(cluster)
    return cluster, balancer


def towards(address: tuple[str, int], restored: bool = True) -> Any:
    """A stream whose client meant to go there."""
    connection = Connection(None, address, ("10.9.9.9", 1), 0.0)  # type: ignore[arg-type]
    connection.restored = restored
    return SimpleNamespace(connection=connection, filter_state=None, metadata=None, request=None)


def test_a_destination_becomes_one_endpoint() -> None:
    async def work() -> None:
        cluster, balancer = make()
        first = balancer.pick(towards(A))
        assert first is balancer.pick(towards(A)) and first is not balancer.pick(towards(B))
        assert [each.address for each in cluster.endpoints] == [A, B]
        assert (cluster.stats.membership_total, cluster.stats.membership_change) == (2, 2)
        balancer.close()

    asyncio.run(work())


def test_without_a_destination_there_is_no_endpoint() -> None:
    cluster, balancer = make()
    assert balancer.pick(towards(A, restored=False)) is None
    balancer.port = 0
    assert balancer.pick(towards(A)) is None
    assert cluster.endpoints == []


def test_filter_state_goes_first_and_is_passed_over_where_it_is_no_address() -> None:
    async def work() -> None:
        _, balancer = make()
        stream = towards(A)
        stream.connection.set_state(DESTINATION, "10.0.0.2:80")
        stream.filter_state = {DESTINATION: "nowhere"}
        found = balancer.pick(stream)
        assert found is not None and found.address == B
        balancer.close()

    asyncio.run(work())


def test_what_nobody_uses_for_an_interval_goes_unless_it_has_connections() -> None:
    async def work() -> None:
        cluster, balancer = make()
        balancer.cleanup_seconds = 0.01
        busy, idle = balancer.pick(towards(A)), balancer.pick(towards(B))
        assert busy is not None and idle is not None
        busy.stats.cx_active = 1
        while len(cluster.endpoints) == 2:
            await asyncio.sleep(0.005)
        assert cluster.endpoints == [busy] and cluster.stats.membership_total == 1
        assert balancer.pick(towards(A)) is busy and balancer.pick(towards(B)) is not idle
        busy.stats.cx_active = 0
        while cluster.endpoints:
            await asyncio.sleep(0.005)
        # The clock stands still while there is nothing to clean.
        assert balancer.pick(towards(A)) is not busy
        balancer.close()

    asyncio.run(asyncio.wait_for(work(), 10))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:80", A),
        ("[FD00::0:1]:80", ("fd00::1", 80)),
        ("10.0.0.1", None),
        ("10.0.0.1:", None),
        ("10.0.0.1:65536", None),
        ("10.0.0.1:+1", None),
        ("[10.0.0.1]:80", None),
        ("fd00::1:80", None),
        ("a.test:80", None),
        ("", None),
    ],
)
def test_addresses(text: str, address: tuple[str, int] | None) -> None:
    assert parse_address(text) == address
