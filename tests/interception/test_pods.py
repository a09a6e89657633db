"""What pods see of each other when their traffic is captured: the same through Envoy and through meshproxy.

Every check runs in a world of its kind; what it expects holds for both proxies.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.interception.world import FREE_GROUP, FREE_PORT, FREE_USER, V6, A, B, C, Kind, World
from tests.kit.netns import APP, ROOT, Namespace, missing

KINDS = [
    *(Kind(proxy, mode) for proxy in ("envoy", "meshproxy") for mode in ("REDIRECT", "TPROXY")),
    *(Kind(proxy, "REDIRECT", 2, nft=True) for proxy in ("envoy", "meshproxy")),
]
REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"

Check = Callable[[World], None]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_pods(kind: Kind) -> None:
    failed = []
    with World(kind) as world:
        for each in CHECKS:
            try:
                each(world)
            except Exception as error:
                failed.append(f"{each.__name__}: {error!r}")
    assert not failed, "\n".join(failed)


# ---- what a client asks ----


def curl(pod: Namespace, url: str, *more: str, user: int = APP, group: int | None = None) -> dict[str, Any]:
    """What the application that answered has seen of the request."""
    done = pod.run(user, "curl", "-sS", "--max-time", "10", *more, url, group=group)
    assert done.returncode == 0, (url, done)
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def peer(seen: dict[str, Any]) -> str:
    return str(seen["peer"]).rpartition(":")[0]


def talk(pod: Namespace, host: str, port: int, sent: str = "") -> str:
    """All that a server says on a TCP connection to a client that may have nothing to say first."""
    script = f"exec 3<>/dev/tcp/{host}/{port}; read -r first <&3; echo \"$first\"; echo '{sent}' >&3; cat <&3"
    if sent:
        script = f"exec 3<>/dev/tcp/{host}/{port}; echo '{sent}' >&3; cat <&3"
    done = pod.run(APP, "timeout", "10", "bash", "-c", script)
    assert done.returncode == 0, done
    return done.stdout


def entry(pod: str, **fields: Any) -> dict[str, Any]:
    """An access log entry."""
    return {"chain": None, "code": 200, "flags": "-", "path": None, "peer": A, "from": pod, **fields}


def app_side(world: World, client: str) -> str:
    """Where a proxy's connections to its application come from."""
    return client if world.kind.mode == "TPROXY" else "::6" if ":" in client else "127.0.0.6"


# ---- services of the mesh ----


@check
def a_service_is_reached_through_both_proxies(world: World) -> None:
    seen = curl(world.a, "http://10.96.0.10:9080/reviews/1", "-d", "12345")
    assert (seen["pod"], seen["line"], seen["body"]) == ("b", "POST /reviews/1 HTTP/1.1", 5)
    assert seen["headers"]["host"] == "10.96.0.10:9080" and "x-request-id" in seen["headers"]
    assert (peer(seen), seen["local"]) == (app_side(world, A), f"{B}:9080")
    assert world.logged(world.a, 1) == [
        entry(A, cluster=REVIEWS, local="10.96.0.10:9080", path="/reviews/1", upstream=f"{B}:9080")
    ]
    assert world.logged(world.b, 1) == [
        entry(app_side(world, A), chain="0.0.0.0_9080", cluster="inbound|9080||", local=f"{B}:9080",
              path="/reviews/1", upstream=f"{B}:9080")
    ]  # fmt: skip


@check
def a_service_is_reached_by_its_name(world: World) -> None:
    seen = curl(world.a, "http://10.96.0.1:9080/", "-H", "host: reviews.default:9080")
    assert (seen["pod"], seen["headers"]["host"]) == ("b", "reviews.default:9080")
    assert [each["cluster"] for each in world.logged(world.a, 1) + world.logged(world.b, 1)] == [
        REVIEWS, "inbound|9080||",
    ]  # fmt: skip


@check
def a_service_with_an_ipv6_address(world: World) -> None:
    seen = curl(world.a, "http://[fd00:96::10]:9080/six")
    assert seen["pod"] == "b"
    assert world.logged(world.a, 1) == [
        entry(A, peer=V6[A], cluster=REVIEWS, local="[fd00:96::10]:9080", path="/six", upstream=f"{B}:9080")
    ]
    world.logged(world.b, 1)


@check
def a_route_that_blocks(world: World) -> None:
    done = world.a.run(APP, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "host: blocked",
                       "http://10.96.0.1:9080/")  # fmt: skip
    assert done.stdout == "502"
    assert world.logged(world.a, 1)[0]["code"] == 502


@check
def a_pod_that_calls_itself_goes_out_and_in_once(world: World) -> None:
    seen = curl(world.a, "http://10.96.0.10:9080/self", "-H", "host: self")
    assert (seen["pod"], peer(seen)) == ("a", app_side(world, A))
    found = sorted(world.logged(world.a, 2), key=lambda each: str(each["cluster"]))
    assert found == [
        entry(app_side(world, A), chain="0.0.0.0_9080", cluster="inbound|9080||", local=f"{A}:9080", path="/self",
              upstream=f"{A}:9080"),
        entry(A, cluster="outbound|9080||self.default.svc.cluster.local", local="10.96.0.10:9080", path="/self",
              upstream=f"{A}:9080"),
    ]  # fmt: skip


@check
def grpc_is_carried_as_tcp(world: World) -> None:
    done = world.a.run(APP, sys.executable, "-m", "tests.kit.grpc_app", "call", "10.96.0.30:7070", "3")
    assert done.stdout.splitlines() == ["b 0", "b 1", "b 2"], done
    assert world.logged(world.a, 1)[0]["cluster"] == "outbound|7070||grpc.default.svc.cluster.local"
    assert world.logged(world.b, 1)[0]["cluster"] == "InboundPassthroughCluster"


@check
def grpc_goes_request_by_request(world: World) -> None:
    """Both proxies find out that it is HTTP/2, and one connection of the application serves all that go there."""
    done = world.a.run(APP, sys.executable, "-m", "tests.kit.grpc_app", "call", "10.96.0.30:7071", "3")
    assert done.stdout.splitlines() == ["b 0", "b 1", "b 2"], done
    path = "/kit.Pod/Count"
    assert world.logged(world.a, 1) == [
        entry(A, cluster="outbound|7071||grpc.default.svc.cluster.local", local="10.96.0.30:7071", path=path,
              upstream=f"{B}:7071")
    ]  # fmt: skip
    assert world.logged(world.b, 1) == [
        entry(app_side(world, A), chain="0.0.0.0_7071", cluster="inbound|7071||", local=f"{B}:7071", path=path,
              upstream=f"{B}:7071")
    ]  # fmt: skip


# ---- servers that speak first ----


@check
def a_server_that_speaks_first_is_heard(world: World) -> None:
    assert talk(world.a, "10.96.0.20", 3306).startswith(f"b greets {app_side(world, A)}:")
    assert world.logged(world.a, 1)[0]["cluster"] == "outbound|3306||db.default.svc.cluster.local"
    assert world.logged(world.b, 1)[0]["chain"] == "0.0.0.0_3306"


@check
def it_is_heard_where_inspectors_wait_for_the_client(world: World) -> None:
    """listener_filters_timeout is over, and the connection goes on as plain TCP."""
    assert talk(world.c, B, 3307).startswith(f"b greets {app_side(world, C)}:")
    assert world.logged(world.b, 1)[0]["chain"] == "virtualInbound"


# ---- what no listener is for ----


@check
def what_no_listener_is_for_passes_through(world: World) -> None:
    for url, local, client in (
        ("http://10.98.0.4/", "10.98.0.4:80", A),
        ("http://[fd00:98::4]/", "[fd00:98::4]:80", V6[A]),
    ):
        seen = curl(world.a, url)
        assert (seen["pod"], peer(seen), "x-request-id" in seen["headers"]) == ("c", client, False)
        assert world.logged(world.a, 1) == [
            entry(client, chain="virtualOutbound-catchall-tcp", cluster="PassthroughCluster", code=0, local=local,
                  peer=client, upstream=local)
        ]  # fmt: skip


@check
def a_host_that_no_route_is_for_passes_through(world: World) -> None:
    seen = curl(world.a, "http://10.98.0.4:9080/", "-H", "host: elsewhere")
    assert (seen["pod"], "x-request-id" in seen["headers"]) == ("c", True)
    assert world.logged(world.a, 1) == [
        entry(A, cluster="PassthroughCluster", local="10.98.0.4:9080", path="/", upstream="10.98.0.4:9080")
    ]


@check
def a_black_hole_ends_connections(world: World) -> None:
    """As does what is sent to the proxies' own ports: no connection goes round in circles."""
    for client, host, port, chain in (
        (world.a, "10.96.0.66", 80, None),
        (world.a, A, 15001, "virtualOutbound-blackhole"),
        (world.c, B, 15006, "virtualInbound-blackhole"),
    ):
        done = client.run(APP, "curl", "-s", "--max-time", "10", f"http://{host}:{port}/")
        # The end of a connection, or a reset: that depends on who is faster.
        assert done.returncode in (52, 56), done
        asked = world.a if client is world.a else world.b
        assert world.logged(asked, 1) == [
            entry(None, chain=chain, cluster="BlackHoleCluster", code=0, flags="UH", local=f"{host}:{port}",
                  peer=A if client is world.a else C, upstream=None)
        ]  # fmt: skip


# ---- what the rules leave alone ----


@check
def excluded_ports_ranges_users_and_groups_are_not_captured(world: World) -> None:
    for url, user, group in (
        (f"http://10.98.0.4:{FREE_PORT}/", APP, None),
        ("http://10.97.0.4/", APP, None),
        ("http://10.98.0.4/", FREE_USER, None),
        ("http://10.98.0.4/", APP, FREE_GROUP),
    ):
        assert peer(curl(world.a, url, user=user, group=group)) == A
    curl(world.a, "http://10.98.0.4/", user=APP)
    assert len(world.logged(world.a, 1)) == 1


# ---- from outside ----


@check
def clients_without_a_proxy_are_captured_where_they_arrive(world: World) -> None:
    for host, url, client in ((B, B, C), (V6[B], f"[{V6[B]}]", V6[C])):
        seen = curl(world.c, f"http://{url}:9080/in")
        assert (peer(seen), seen["local"]) == (app_side(world, client), f"{host}:9080")
        assert world.logged(world.b, 1) == [
            entry(app_side(world, client), chain="0.0.0.0_9080", cluster="inbound|9080||", local=f"{url}:9080",
                  path="/in", peer=client, upstream=f"{url}:9080")
        ]  # fmt: skip


@check
def a_port_that_no_chain_is_for_passes_through_to_the_application(world: World) -> None:
    assert talk(world.c, B, 5000, "hello") == "b hello\n"
    assert world.logged(world.b, 1) == [
        entry(app_side(world, C), chain="virtualInbound", cluster="InboundPassthroughCluster", code=0,
              local=f"{B}:5000", peer=C, upstream=f"{B}:5000")
    ]  # fmt: skip


@check
def tcp_on_a_port_that_speaks_http_too(world: World) -> None:
    """http_inspector finds no HTTP, and the chain without an application protocol takes the connection."""
    done = world.c.run(APP, "timeout", "10", "bash", "-c",
                       f"exec 3<>/dev/tcp/{B}/9080; printf '\\0\\1\\2\\r\\n\\r\\n' >&3; head -c 15 <&3")  # fmt: skip
    assert done.stdout == "HTTP/1.1 200 OK", done
    found = world.logged(world.b, 1)[0]
    assert (found["code"], found["cluster"], found["chain"]) == (0, "inbound|9080||", "0.0.0.0_9080")


# ---- names ----


@check
def questions_for_names_go_to_the_agent(world: World) -> None:
    """The application of pod a answers on 15053 in its place; nobody has the address that is asked."""
    query = "import socket; q=b'\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\1a\\4test\\0\\0\\1\\0\\1';"
    for kind, ask in (
        ("udp", "s=socket.socket(type=socket.SOCK_DGRAM); s.settimeout(5); s.connect(('10.96.0.53',53)); s.send(q)"),
        ("tcp", "s=socket.create_connection(('10.96.0.53',53),5); s.send(bytes([0,len(q)])+q); s.recv(2)"),
    ):
        done = world.a.run(APP, sys.executable, "-c", f"{query} {ask}; print(socket.inet_ntoa(s.recv(99)[-4:]))")
        assert done.stdout == "192.0.2.53\n", (kind, done)


# ---- what an operator sees ----


@check
def endpoints_that_were_destinations_are_shown(world: World) -> None:
    done = world.a.run(ROOT, "curl", "-s", "127.0.0.1:15000/clusters")
    for address in ("10.98.0.4:80", "[fd00:98::4]:80", "10.98.0.4:9080"):
        assert f"PassthroughCluster::{address}::hostname::PassthroughCluster{address}\n" in done.stdout
