"""Which endpoint a real Envoy picks by hash: the golden values of test_golden_hashes.py, and what makes them.

    python -m tests.upstream.envoy_hashes      # asks .venv-envoy/bin/envoy again and writes envoy_hashes.json

Every case is a cluster in Envoy whose endpoints are addresses of the loopback network with one server behind them all.
Each key is sent as a header that the route hashes; a response header says which endpoint Envoy took. What Envoy counts
(ring_hash_lb.*, maglev_lb.*) is kept too.
"""

import asyncio
import json
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
GOLDEN = HERE / "envoy_hashes.json"
ENVOY = HERE.parents[1] / ".venv-envoy/bin/envoy"
# The keys of endpoints have the port in them: it is the same for all golden values.
PORT = 18_641
_PROXY, _ADMIN = 18_642, 18_643
KEYS = [f"key-{i}" for i in range(40)]
_POLICIES = "type.googleapis.com/envoy.extensions.load_balancing_policies"
_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def host(number: int, weight: int = 1, **more: Any) -> dict[str, Any]:
    where = {"socket_address": {"address": f"127.9.0.{number}", "port_value": PORT}}
    endpoint = {"address": where}
    if "hostname" in more:
        endpoint["hostname"] = more.pop("hostname")
    return {"endpoint": endpoint, "load_balancing_weight": weight, **more}


def hosts(*weights: int) -> list[dict[str, Any]]:
    return [{"lb_endpoints": [host(i, weight) for i, weight in enumerate(weights, 1)]}]


def extension(name: str, **fields: Any) -> dict[str, Any]:
    config = {"@type": f"{_POLICIES}.{name}", **fields}
    return {"load_balancing_policy": {"policies": [{"typed_extension_config": {"name": "p", "typed_config": config}}]}}


def _named(number: int, name: str) -> dict[str, Any]:
    return host(number, metadata={"filter_metadata": {"envoy.lb": {"hash_key": name}}})


def _zone(name: str, weight: int, *members: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"locality": {"zone": name}, "load_balancing_weight": weight, "lb_endpoints": list(members), **more}


_ZONES = [_zone("b", 1, host(1), host(2)), _zone("a", 3, host(3, 2), host(4), host(5))]
_DOWN = {"health_status": "UNHEALTHY"}
_FAILING = [
    {"lb_endpoints": [host(1), host(2, **_DOWN)]},
    {"lb_endpoints": [host(3), host(4)], "priority": 1},
]
_PANIC = [{"lb_endpoints": [host(1), host(2, **_DOWN), host(3, **_DOWN), host(4, **_DOWN)]}]
_BY_NAME = {
    "type": "STRICT_DNS",
    "common_lb_config": {"consistent_hashing_lb_config": {"use_hostname_for_hashing": True}},
    "endpoints": [{"lb_endpoints": [host(i, hostname=f"shop-{i}.test") for i in (1, 2, 3, 4)]}],
}
_WEIGHTED = {"locality_weighted_lb_config": {}}

# Name -> the cluster, but for its name.
CASES: dict[str, dict[str, Any]] = {
    "ring": {"lb_policy": "RING_HASH", "endpoints": hosts(1, 1, 1, 1, 1)},
    "ring of one": {"lb_policy": "RING_HASH", "endpoints": hosts(7)},
    "ring by weight": {
        "lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 64}, "endpoints": hosts(1, 2, 3, 50),
    },
    "small ring": {
        "lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 1, "maximum_ring_size": 10},
        "endpoints": hosts(1, 2, 3, 1),
    },
    "large ring": {
        "lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 20000}, "endpoints": hosts(*[1] * 7),
    },
    "murmur": {
        "lb_policy": "RING_HASH", "ring_hash_lb_config": {"hash_function": "MURMUR_HASH_2"},
        "endpoints": hosts(1, 1, 1),
    },
    "ring by host name": {"lb_policy": "RING_HASH", **_BY_NAME},
    "ring by hash_key": {
        "lb_policy": "RING_HASH", "endpoints": [{"lb_endpoints": [_named(1, "red"), _named(2, "blue"), host(3)]}],
    },
    "ring by locality": {"lb_policy": "RING_HASH", "common_lb_config": _WEIGHTED, "endpoints": _ZONES},
    "ring with zones that do not count": {"lb_policy": "RING_HASH", "endpoints": _ZONES},
    "ring with priorities": {"lb_policy": "RING_HASH", "endpoints": _FAILING},
    "ring in panic": {"lb_policy": "RING_HASH", "endpoints": _PANIC},
    "ring as an extension": {
        **extension(
            "ring_hash.v3.RingHash", hash_function="XX_HASH", minimum_ring_size=100,
            consistent_hashing_lb_config={"use_hostname_for_hashing": True}, locality_weighted_lb_config={},
        ),
        "endpoints": [_zone("b", 2, host(1, hostname="one"), host(2, hostname="two")), _zone("", 1, host(3))],
    },
    "maglev": {"lb_policy": "MAGLEV", "endpoints": hosts(1, 1, 1, 1, 1)},
    "maglev by weight": {
        "lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 101}, "endpoints": hosts(1, 2, 3, 9),
    },
    "maglev by host name": {"lb_policy": "MAGLEV", **_BY_NAME},
    "maglev by locality": {"lb_policy": "MAGLEV", "common_lb_config": _WEIGHTED, "endpoints": _ZONES},
    "maglev as an extension": {**extension("maglev.v3.Maglev", table_size=1009), "endpoints": hosts(5, 1, 1)},
}  # fmt: skip


def cluster_of(name: str) -> dict[str, Any]:
    """The cluster of a case as its configuration has it."""
    case = dict(CASES[name])
    assignment = {"cluster_name": name, "endpoints": case.pop("endpoints")}
    return {"name": name, "connect_timeout": "1s", "load_assignment": assignment, **case}


def _bootstrap(clusters: list[Any], routes: list[Any], more: dict[str, Any]) -> dict[str, Any]:
    told = [{"header": {"key": "x-endpoint", "value": "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}]
    host_of_all = {"name": "all", "domains": ["*"], "routes": routes, "response_headers_to_add": told}
    hcm = {
        "@type": _HCM, "stat_prefix": "in", "route_config": {"virtual_hosts": [host_of_all]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }  # fmt: skip
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": hcm}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": _PROXY}}
    return {
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": _ADMIN}}},
        "static_resources": {"listeners": [{"address": address, "filter_chains": [chain]}], "clusters": clusters},
        **more,
    }


def get(url: str, **headers: str) -> Any:
    """The endpoint that answered, and the body."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as response:
        return response.headers.get("x-endpoint"), response.read().decode()


def _ask(port: int, admin: int) -> dict[str, Any]:
    golden = {}
    for i, name in enumerate(CASES):
        picks = [get(f"http://127.0.0.1:{port}/{i}", **{"x-key": key})[0] for key in KEYS]
        _, text = get(f"http://127.0.0.1:{admin}/stats?filter=^cluster.c{i}.(ring_hash|maglev)_lb")
        counts = dict(line.split(": ") for line in text.splitlines())
        stats = {key.rpartition(".")[2]: int(value) for key, value in counts.items()}
        golden[name] = {"picks": [int(pick.rpartition(".")[2]) for pick in picks], "stats": stats}
    return golden


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    except asyncio.IncompleteReadError:
        writer.close()


async def served_by(
    clusters: list[Any], routes: list[Any], ask: Callable[[int, int], Any], more: dict[str, Any] | None = None
) -> Any:
    """What `ask` finds out of an Envoy with these clusters and routes, by its port and that of its admin interface."""
    server = await asyncio.start_server(_answer, "0.0.0.0", PORT)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        yaml.safe_dump(_bootstrap(clusters, routes, more or {}), config)
        config.flush()
        flags = ["--log-level", "error", "--use-dynamic-base-id", "--concurrency", "1"]
        envoy = subprocess.Popen([ENVOY, "-c", config.name, *flags])
        try:
            await asyncio.sleep(2)
            return await asyncio.to_thread(ask, _PROXY, _ADMIN)
        finally:
            envoy.terminate()
            envoy.wait()
            server.close()


async def main() -> None:
    policy = [{"header": {"header_name": "x-key"}}]
    clusters = [{**cluster_of(name), "alt_stat_name": f"c{i}"} for i, name in enumerate(CASES)]
    routes = [
        {"match": {"path": f"/{i}"}, "route": {"cluster": name, "hash_policy": policy}} for i, name in enumerate(CASES)
    ]
    golden = await served_by(clusters, routes, _ask)
    lines = [f"{json.dumps(name)}: {json.dumps(values)}" for name, values in golden.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    asyncio.run(main())
