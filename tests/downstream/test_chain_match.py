"""Which chain serves a connection: Envoy's order, and no way back once a criterion has matched."""

from ipaddress import ip_network
from typing import Any

import pytest

from meshproxy.downstream.chain_match import ChainMatch, ChainMatcher, OverlappingChains
from meshproxy.net.connection import Connection


class Nobody:
    def connection_ended(self, connection: Connection) -> None:
        raise AssertionError("not served")


def connection(
    local: tuple[str, int] = ("10.0.0.1", 80), peer: tuple[str, int] = ("192.0.2.9", 5000), **seen: Any
) -> Connection:
    made = Connection(Nobody(), local, peer, 0.0)
    for name, value in seen.items():
        setattr(made, name, value)
    return made


def matcher(default: str | None = None, **chains: dict[str, Any]) -> ChainMatcher[str]:
    return ChainMatcher([(ChainMatch(**match), name) for name, match in chains.items()], default)


def networks(*texts: str) -> tuple[Any, ...]:
    return tuple(map(ip_network, texts))


def test_one_chain_without_criteria_serves_everything() -> None:
    found = matcher(all={})
    assert found.only == "all"
    assert found.find(connection()) == "all"


def test_default_serves_what_no_chain_does() -> None:
    found = matcher("rest", web={"destination_port": (80,)})
    assert found.only is None
    assert found.find(connection()) == "web"
    assert found.find(connection(local=("10.0.0.1", 81))) == "rest"
    assert matcher(web={"destination_port": (80,)}).find(connection(local=("10.0.0.1", 81))) is None


def test_default_alone_serves_everything() -> None:
    assert matcher("rest").only == "rest"


def test_longest_prefix_wins() -> None:
    found = matcher(
        wide={"prefix_ranges": networks("10.0.0.0/8")},
        narrow={"prefix_ranges": networks("10.1.0.0/16")},
        six={"prefix_ranges": networks("2001:db8::/32")},
    )
    assert found.find(connection(local=("10.1.2.3", 80))) == "narrow"
    assert found.find(connection(local=("10.2.2.3", 80))) == "wide"
    assert found.find(connection(local=("2001:db8::1", 80))) == "six"
    assert found.find(connection(local=("11.0.0.1", 80))) is None


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("www.example.com", "exact"),
        ("api.example.com", "below"),
        ("a.b.example.com", "below"),
        ("example.com", "any"),
        ("example.org", "any"),
        ("www.example.net", "net"),
        ("", "any"),
    ],
)
def test_server_names_from_exact_to_any(name: str, chain: str) -> None:
    found = matcher(
        exact={"server_names": ("www.example.com",)},
        below={"server_names": (".example.com",)},
        net={"server_names": (".net",)},
        any={},
    )
    assert found.find(connection(server_name=name)) == chain


def test_transport_and_application_protocols() -> None:
    found = matcher(
        tls={"transport_protocol": ("tls",)},
        h2={"transport_protocol": ("tls",), "application_protocols": ("h2",)},
        http={"transport_protocol": ("raw_buffer",), "application_protocols": ("http/1.1", "h2c")},
        raw={"transport_protocol": ("raw_buffer",)},
    )
    assert found.find(connection(transport_protocol="tls")) == "tls"
    assert found.find(connection(transport_protocol="tls", application_protocols=("x", "h2"))) == "h2"
    assert found.find(connection(application_protocols=("h2c",))) == "http"
    assert found.find(connection()) == "raw"


def test_sources() -> None:
    found = matcher(
        local={"source_type": ("local",)},
        external={"source_type": ("external",)},
        known={"source_type": ("external",), "source_prefix_ranges": networks("192.0.2.0/24"), "source_ports": (7,)},
    )
    assert found.find(connection(peer=("127.0.0.1", 1))) == "local"
    assert found.find(connection(peer=("10.0.0.1", 1))) == "local"
    assert found.find(connection(peer=("198.51.100.1", 7))) == "external"
    assert found.find(connection(peer=("192.0.2.1", 7))) == "known"
    # The prefix has matched: there is no way back to the chain without one.
    assert found.find(connection(peer=("192.0.2.1", 8))) is None


def test_direct_source_is_not_the_one_of_the_proxy_header() -> None:
    found = matcher(
        balancer={"direct_source_prefix_ranges": networks("10.9.0.0/16")},
        client={"source_prefix_ranges": networks("203.0.113.0/24")},
    )
    behind = connection(peer=("10.9.0.1", 1))
    behind.peer = ("203.0.113.5", 1)
    assert found.find(behind) == "balancer"
    behind.direct_peer = ("10.8.0.1", 1)
    assert found.find(behind) == "client"


def test_a_port_that_matched_keeps_the_connection_from_chains_without_one() -> None:
    found = matcher(
        "rest",
        port={"destination_port": (80,), "server_names": ("a",)},
        name={"server_names": ("b",)},
    )
    assert found.find(connection(server_name="b")) == "rest"
    assert found.find(connection(local=("10.0.0.1", 81), server_name="b")) == "name"


def test_unix_sockets_are_like_any_address() -> None:
    found = matcher(zero={"prefix_ranges": networks("0.0.0.0/0")}, port={"destination_port": (80,)})
    assert found.find(connection(local=("/run/a.sock", 0), peer=("", 0))) == "zero"


def test_the_same_criteria_twice_are_refused() -> None:
    with pytest.raises(OverlappingChains) as caught:
        matcher(a={"destination_port": (1,)}, b={}, c={"destination_port": (1,)})
    assert (caught.value.first, caught.value.second) == (0, 2)
    with pytest.raises(OverlappingChains):
        matcher(a={"server_names": ("x", "y")}, b={"server_names": ("y", "z")})
