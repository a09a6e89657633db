"""Who talked to whom, in one process and in several."""

from dataclasses import dataclass
from typing import Any

from meshproxy.observe.peers import Peers, merge, without_connections

A, B, US = "spiffe://a", "spiffe://b", "spiffe://us"


@dataclass(eq=False)
class Codec:
    requests: int = 0


def shown(peers: Peers) -> list[tuple[Any, ...]]:
    return [(row.direction, row.identity, row.requests, row.active, row.connections) for row in peers.rows()]


def test_requests_are_those_of_the_codecs_while_they_live_and_afterwards() -> None:
    peers, first, second = Peers(), Codec(), Codec()
    peers.connected("inbound", A, US, first)
    peers.connected("inbound", A, US, second)
    first.requests, second.requests = 3, 4
    assert shown(peers) == [("inbound", A, 7, 2, 2)]
    peers.gone(first)
    second.requests += 1
    assert shown(peers) == [("inbound", A, 8, 1, 2)]
    peers.gone(second)
    peers.gone(second)
    assert shown(peers) == [("inbound", A, 8, 0, 2)]


def test_directions_and_own_names_are_kept_apart() -> None:
    peers = Peers()
    for key in (("inbound", A, US), ("outbound", A, US), ("inbound", A, B)):
        peers.connected(*key, Codec())  # type: ignore[arg-type]
    assert len(peers.rows()) == 3


def test_of_too_many_the_one_that_was_silent_longest_is_forgotten() -> None:
    peers, kept = Peers(kept=2), Codec(1)
    peers.connected("inbound", A, US, kept)
    peers.connected("inbound", B, US, Codec())
    peers.connected("inbound", A, US, Codec())
    peers.connected("inbound", "spiffe://c", US, Codec())
    assert [row.identity for row in peers.rows()] == [A, "spiffe://c"]
    peers.gone(kept)
    assert shown(peers)[0] == ("inbound", A, 1, 1, 2)


def test_workers_together() -> None:
    groups = []
    for requests in (2, 3):
        peers = Peers()
        peers.connected("inbound", A, US, Codec(requests))
        groups.append(peers.rows())
    (row,) = merge(groups)
    assert (row.requests, row.active, row.connections) == (5, 2, 2)
    assert groups[0][0].requests == 2, "what was merged is not changed"
    (gone,) = merge([without_connections(groups[0])])
    assert (gone.requests, gone.active, gone.connections) == (2, 0, 1)
