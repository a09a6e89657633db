"""How a real Envoy shares requests among endpoints: the golden counts of test_envoy_shares.py, and what makes them.

    python -m tests.upstream.envoy_shares      # asks .venv-envoy/bin/envoy again and writes envoy_shares.json

As envoy_hashes.py, but without hashes: what is compared is how many of `REQUESTS` each endpoint gets.
"""

import asyncio
import json
from collections import Counter
from typing import Any

from tests.upstream.envoy_hashes import HERE, extension, get, host, served_by

SHARES = HERE / "envoy_shares.json"
REQUESTS = 1000
_DOWN, _DEGRADED = {"health_status": "UNHEALTHY"}, {"health_status": "DEGRADED"}
NODE = {"id": "me", "cluster": "mesh", "locality": {"zone": "a"}}


def group(*members: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"lb_endpoints": list(members), **more}


def zone(name: str, count: int, first: int, weight: int = 0, bad: int = 0, flag: Any = _DOWN) -> dict[str, Any]:
    """`bad`: how many of them have the flag."""
    members = [host(first + i, **(flag if i < bad else {})) for i in range(count)]
    return group(*members, locality={"zone": name}, **({"load_balancing_weight": weight} if weight else {}))


_WEIGHTED: dict[str, Any] = {"common_lb_config": {"locality_weighted_lb_config": {}}}
_ZONES: dict[str, Any] = {"common_lb_config": {"zone_aware_lb_config": {"min_cluster_size": 1}}}
_UNEVEN = [group(host(1, 1), host(2, 3), host(3, 6))]

CASES: dict[str, dict[str, Any]] = {
    "round robin": {"endpoints": [group(host(1), host(2), host(3))]},
    "round robin by weight": {"endpoints": _UNEVEN},
    "least request by weight": {"lb_policy": "LEAST_REQUEST", "endpoints": _UNEVEN},
    "least request": {"lb_policy": "LEAST_REQUEST", "endpoints": [group(host(1), host(2), host(3))]},
    "least request of all": {
        **extension("least_request.v3.LeastRequest", selection_method="FULL_SCAN"),
        "endpoints": [group(host(1), host(2), host(3))],
    },
    "random knows no weights": {"lb_policy": "RANDOM", "endpoints": _UNEVEN},
    "priorities": {"endpoints": [group(host(1), host(2, **_DOWN)), group(host(3), host(4), priority=1)]},
    "three priorities": {
        "endpoints": [
            group(host(1), host(2, **_DOWN), host(3, **_DOWN), host(4, **_DOWN)),
            group(host(5), host(6, **_DOWN), host(7, **_DOWN), host(8, **_DOWN), priority=1),
            group(host(9), host(10), priority=2),
        ]
    },
    "all priorities in panic": {
        "endpoints": [group(host(1, **_DOWN), host(2, **_DOWN), host(3)), group(host(4, **_DOWN), priority=1)]
    },
    "one priority in panic": {
        "endpoints": [
            group(host(1), host(2, **_DOWN), host(3, **_DOWN), host(4, **_DOWN)),
            group(host(5), host(6, **_DOWN), host(7, **_DOWN), priority=1),
        ]
    },
    "degraded": {"endpoints": [group(host(1), host(2, **_DEGRADED), host(3, **_DEGRADED), host(4, **_DEGRADED))]},
    "degraded before the next priority": {
        "endpoints": [
            group(host(1), host(2, **_DEGRADED), host(3, **_DOWN), host(4, **_DOWN)), group(host(5), priority=1),
        ]
    },
    "health by weight": {
        "endpoints": [group(host(1, 8), host(2, 12, **_DOWN)), group(host(3), priority=1)],
        "policy": {"weighted_priority_health": True, "overprovisioning_factor": 100},
    },
    "localities by weight": {**_WEIGHTED, "endpoints": [zone("a", 1, 1, 3), zone("b", 4, 11, 1)]},
    "localities that are not well": {**_WEIGHTED, "endpoints": [zone("a", 4, 1, 3, bad=3), zone("b", 2, 11, 1)]},
    "localities, degraded": {
        **_WEIGHTED,
        "endpoints": [zone("a", 3, 1, 3, bad=2, flag=_DEGRADED), zone("b", 3, 11, 1, bad=2, flag=_DEGRADED)],
    },
    "the own zone has enough": {**_ZONES, "endpoints": [zone("a", 2, 1), zone("b", 1, 11), zone("c", 1, 21)]},
    "the own zone has too little": {**_ZONES, "endpoints": [zone("a", 1, 1), zone("b", 1, 11), zone("c", 3, 21)]},
    "the own zone has nothing": {**_ZONES, "endpoints": [zone("b", 1, 11), zone("c", 3, 21)]},
}  # fmt: skip
# What this proxy belongs to: half of its fellows are in its zone.
MESH = {"endpoints": [zone("a", 2, 31), zone("b", 1, 41), zone("c", 1, 51)]}


def cluster_of(name: str, case: dict[str, Any]) -> dict[str, Any]:
    case = dict(case)
    assignment = {"cluster_name": name, "endpoints": case.pop("endpoints"), "policy": case.pop("policy", {})}
    return {"name": name, "connect_timeout": "1s", "load_assignment": assignment, **case}


def _ask(port: int, admin: int) -> dict[str, dict[str, int]]:
    golden = {}
    for i, name in enumerate(CASES):
        picks = Counter(get(f"http://127.0.0.1:{port}/{i}")[0].rpartition(".")[2] for _ in range(REQUESTS))
        golden[name] = dict(sorted(picks.items(), key=lambda item: int(item[0])))
    return golden


async def main() -> None:
    clusters = [cluster_of(name, case) for name, case in CASES.items()]
    routes = [{"match": {"path": f"/{i}"}, "route": {"cluster": name}} for i, name in enumerate(CASES)]
    more = {"node": NODE, "cluster_manager": {"local_cluster_name": "mesh"}}
    golden = await served_by([*clusters, cluster_of("mesh", MESH)], routes, _ask, more)
    lines = [f"{json.dumps(name)}: {json.dumps(values)}" for name, values in golden.items()]
    SHARES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    asyncio.run(main())
