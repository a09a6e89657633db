"""Pods of a mesh speak TLS to each other, with certificates that say who they are, and applications know nothing of it.

Through two Envoys, two meshproxies, and one of each: the same answers, identities and log entries.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meshproxy.agent import ca
from tests.interception.test_pods import curl, peer, talk
from tests.interception.world import A, B, C, Kind, World
from tests.kit.netns import APP, PROXY, ROOT, Namespace, missing

KINDS = [
    *(Kind(client, server=server) for client in ("envoy", "meshproxy") for server in ("envoy", "meshproxy")),
    Kind("meshproxy", "TPROXY", nft=True),
]
HOST = "spiffe://cluster.local/ns/default/sa/"
PRODUCTPAGE, REVIEWS = f"{HOST}productpage", f"{HOST}reviews"
CLUSTER = "outbound|9080||reviews.default.svc.cluster.local"
# In a request's path: what may not be seen on the wire.
SECRET = "nobody-between-the-pods-reads-this"

Check = Callable[["Mesh"], None]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


class Mesh(World):
    """Pods a and b have identities, and proxies that use them; pod c has neither."""

    config = Path(__file__).with_name("mesh.yaml")

    def _start_applications(self) -> None:
        ca.init(self.folder / "certs", "cluster.local", 1)
        ca.init(self.folder / "others", "cluster.local", 1)
        for place, name in (("certs", "productpage"), ("certs", "reviews"), ("certs", "app"), ("others", "app")):
            folder = ca.issue(self.folder / place, f"default/{name}", 1)
            # Of users of all kinds, for this while.
            (folder / "key.pem").chmod(0o644)
        self._serve(self.a, "http:9080", user=PROXY)
        self._serve(self.b, "http:9080", "http:8080", "greet:3306", f"https:9443:{self.folder}/certs/app")
        self._start_grpc()
        self._serve(self.c, "http:9080")

    def _substitutes(self, pod: Namespace) -> dict[str, str]:
        name = "productpage" if pod is self.a else "reviews"
        return {"certs": str(self.folder / "certs" / name), "identity": HOST + name}

    @contextmanager
    def wire(self, pod: Namespace) -> Iterator[Callable[[], bytes]]:
        """What goes over the pod's interface; the function ends it and gives all there was."""
        path = self.folder / f"{pod.name}.wire"
        with (self.folder / f"{pod.name}.wire.out").open("w+b") as out:
            listening = pod.start(ROOT, sys.executable, "-m", "tests.kit.wire", path, "eth0", out=out)
            done = pod.run(ROOT, "timeout", "10", "sh", "-c", f"until grep -q ready {out.name}; do sleep 0.01; done")
            assert done.returncode == 0, Path(out.name).read_text()

            def end() -> bytes:
                pod.stop(listening)
                return path.read_bytes()

            yield end


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_mutual_tls(kind: Kind) -> None:
    failed = []
    with Mesh(kind) as mesh:
        for each in CHECKS:
            try:
                each(mesh)
            except Exception as error:
                failed.append(f"{each.__name__}: {error!r}")
    assert not failed, "\n".join(failed)


def entry(**fields: Any) -> dict[str, Any]:
    """An access log entry of a request that came and went as plain text."""
    plain = dict.fromkeys(("chain", "failed", "me", "path", "peer", "protocol", "sni", "tls", "upstream_peer"))
    return {**plain, "upstream_tls": None, "code": 200, "flags": "-", **fields}


def secured(side: str, **fields: Any) -> dict[str, Any]:
    """That of one who spoke TLS with the other pod: as the client, or as the server."""
    if side == "client":
        return entry(upstream_tls="TLSv1.3", upstream_peer=REVIEWS, **fields)
    return entry(tls="TLSv1.3", peer=PRODUCTPAGE, me=REVIEWS, **fields)


# ---- between two pods of the mesh ----


@check
def a_request_travels_as_tls_and_both_know_who_the_other_is(mesh: Mesh) -> None:
    with mesh.wire(mesh.b) as end:
        seen = curl(mesh.a, f"http://10.96.0.10:9080/{SECRET}")
        wire = end()
    assert (seen["pod"], seen["line"]) == ("b", f"GET /{SECRET} HTTP/1.1")
    # The application shows headers in lower case.
    element = f'by={REVIEWS};hash=[0-9a-f]{{64}};subject="";uri={PRODUCTPAGE}'
    assert re.fullmatch(element, seen["headers"]["x-forwarded-client-cert"]), seen["headers"]
    assert mesh.logged(mesh.a, 1) == [secured("client", cluster=CLUSTER, path=f"/{SECRET}", protocol="HTTP/1.1")]
    assert mesh.logged(mesh.b, 1) == [
        secured("server", chain="0.0.0.0_9080", cluster="inbound|9080||", path=f"/{SECRET}", protocol="HTTP/1.1",
                sni="outbound_.9080_._.reviews.default.svc.cluster.local")
    ]  # fmt: skip
    # Both went by: the connection, and not a word of what was said.
    assert b"\x16\x03\x01" in wire and b"outbound_.9080_._.reviews" in wire
    assert SECRET.encode() not in wire and b"HTTP/1.1" not in wire


@check
def what_is_not_encrypted_would_be_seen(mesh: Mesh) -> None:
    """The same request from a pod without a proxy: PERMISSIVE lets it in."""
    with mesh.wire(mesh.b) as end:
        seen = curl(mesh.c, f"http://{B}:9080/{SECRET}", "-H", "x-forwarded-client-cert: By=me;URI=spiffe://forged")
        wire = end()
    assert SECRET.encode() in wire and b"HTTP/1.1 200 OK" in wire
    # Who shows no certificate does not say who he is either.
    assert (peer(seen), "x-forwarded-client-cert" in seen["headers"]) == (mesh_side(mesh, C), False)
    assert mesh.logged(mesh.b, 1) == [
        entry(chain="0.0.0.0_9080", cluster="inbound|9080||", path=f"/{SECRET}", protocol="HTTP/1.1")
    ]


@check
def a_strict_port_is_for_those_with_a_certificate(mesh: Mesh) -> None:
    assert curl(mesh.a, "http://10.96.0.1:9080/", "-H", "host: strict")["pod"] == "b"
    mesh.logged(mesh.a, 1)
    assert mesh.logged(mesh.b, 1)[0]["peer"] == PRODUCTPAGE
    certs, others = (
        ["--cert", mesh.folder / place / "app" / "cert-chain.pem", "--key", mesh.folder / place / "app" / "key.pem"]
        for place in ("certs", "others")
    )
    # Plain text; without a certificate; with one of another root, in the same trust domain.
    for scheme, shown in (("http", []), ("https", []), ("https", others)):
        done = mesh.c.run(APP, "curl", "-sk", "--http1.1", "--max-time", "10", *shown, f"{scheme}://{B}:8080/")
        # Closed without a chain for it; ended by an alert.
        assert (done.returncode in (35, 52, 55, 56), done.stdout) == (True, ""), done
    assert curl(mesh.c, f"https://{B}:8080/", "-k", "--http1.1", *map(str, certs))["pod"] == "b"
    assert mesh.logged(mesh.b, 1)[0]["peer"] == f"{HOST}app"


@check
def a_server_that_speaks_first_is_heard(mesh: Mesh) -> None:
    with mesh.wire(mesh.b) as end:
        assert talk(mesh.a, "10.96.0.20", 3306).startswith(f"b greets {mesh_side(mesh, A)}:")
        assert b"b greets" not in end()
    assert mesh.logged(mesh.a, 1) == [secured("client", code=0, cluster="outbound|3306||db.default.svc.cluster.local")]
    sni = "outbound_.3306_._.db.default.svc.cluster.local"
    assert mesh.logged(mesh.b, 1) == [
        secured("server", chain="0.0.0.0_3306", code=0, cluster="inbound|3306||", sni=sni)
    ]


@check
def grpc_goes_request_by_request(mesh: Mesh) -> None:
    done = mesh.a.run(APP, sys.executable, "-m", "tests.kit.grpc_app", "call", "10.96.0.30:7070", "3")
    assert done.stdout.splitlines() == ["b 0", "b 1", "b 2"], done
    path = {"path": "/kit.Pod/Count", "protocol": "HTTP/2"}
    assert mesh.logged(mesh.a, 1) == [
        secured("client", cluster="outbound|7070||grpc.default.svc.cluster.local", **path)
    ]
    sni = "outbound_.7070_._.grpc.default.svc.cluster.local"
    assert mesh.logged(mesh.b, 1) == [
        secured("server", chain="0.0.0.0_7070", cluster="inbound|7070||", sni=sni, **path)
    ]


@check
def a_pod_that_calls_itself_goes_out_and_in_once(mesh: Mesh) -> None:
    assert curl(mesh.a, "http://10.96.0.10:9080/self", "-H", "host: self")["pod"] == "a"
    found = sorted(mesh.logged(mesh.a, 2), key=lambda each: str(each["cluster"]))
    assert [(each["cluster"], each["peer"], each["upstream_peer"]) for each in found] == [
        ("inbound|9080||", PRODUCTPAGE, None),
        ("outbound|9080||self.default.svc.cluster.local", None, PRODUCTPAGE),
    ]


@check
def who_is_another_one_than_expected_gets_no_request(mesh: Mesh) -> None:
    done = mesh.a.run(APP, "curl", "-s", "-w", "%{http_code}", "-H", "host: imposter", "http://10.96.0.1:9080/")
    assert done.stdout.endswith("remote connection failure503"), done
    (found,) = mesh.logged(mesh.a, 1)
    assert (found["code"], found["flags"]) == (503, "UF")
    assert "CERTIFICATE_VERIFY_FAILED" in found["failed"]


# ---- with pods outside of it ----


@check
def a_pod_without_a_proxy_is_called_as_plain_text(mesh: Mesh) -> None:
    seen = curl(mesh.a, "http://10.96.0.1:9080/", "-H", "host: legacy")
    assert (seen["pod"], "x-forwarded-client-cert" in seen["headers"]) == ("c", False)
    legacy = "outbound|9080||legacy.default.svc.cluster.local"
    assert mesh.logged(mesh.a, 1) == [entry(cluster=legacy, path="/", protocol="HTTP/1.1")]


@check
def tls_of_the_application_is_its_own(mesh: Mesh) -> None:
    """Nobody ends it: what the client sees is the application's certificate."""
    for client in (mesh.c, mesh.a):
        seen = curl(client, "https://app:9443/", "--connect-to", f"app:9443:{B}:9443", "-k")
        assert (seen["pod"], seen["line"]) == ("b", "GET / HTTP/1.1")
        assert mesh.logged(mesh.b, 1) == [
            entry(chain="virtualInbound", code=0, cluster="InboundPassthroughCluster", sni="app")
        ]
    mesh.logged(mesh.a, 1)


def mesh_side(mesh: Mesh, client: str) -> str:
    """Where pod b's proxy calls the application from."""
    return client if mesh.kind.mode == "TPROXY" else "127.0.0.6"
