"""The one configuration that Envoy and meshproxy are given, as a mapping to be written as YAML or JSON."""

from typing import Any

_TYPE = "type.googleapis.com/envoy.extensions.filters"


def _socket(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _bootstrap(admin: int, listen: int, upstream: int, network_filter: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _socket(upstream)}}
    return {
        "admin": {"address": _socket(admin)},
        "static_resources": {
            "listeners": [
                {"name": "bench", "address": _socket(listen), "filter_chains": [{"filters": [network_filter]}]}
            ],
            "clusters": [
                {
                    "name": "upstream",
                    "type": "STATIC",
                    "connect_timeout": "5s",
                    "load_assignment": {
                        "cluster_name": "upstream",
                        "endpoints": [{"lb_endpoints": [endpoint]}],
                    },
                }
            ],
        },
    }


def http(admin: int, listen: int, upstream: int, routes: int = 10) -> dict[str, Any]:
    """``routes`` prefix routes, of which the last takes everything."""
    table = [
        {"match": {"prefix": f"/service-{number}/"}, "route": {"cluster": "upstream"}} for number in range(routes - 1)
    ]
    table.append({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}})
    manager = {
        "@type": f"{_TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPE}.http.router.v3.Router"}}
        ],
        "route_config": {
            "name": "bench",
            "virtual_hosts": [{"name": "bench", "domains": ["*"], "routes": table}],
        },
    }
    named = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return _bootstrap(admin, listen, upstream, named)


def tcp(admin: int, listen: int, upstream: int) -> dict[str, Any]:
    proxy = {"@type": f"{_TYPE}.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "bench", "cluster": "upstream"}
    return _bootstrap(admin, listen, upstream, {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy})
