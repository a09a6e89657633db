"""The one configuration that Envoy and meshproxy are given, as a mapping to be written as YAML or JSON."""

from pathlib import Path
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


# What Istio logs: its text format, and as many fields as JSON.
_TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
_JSON = {
    "start_time": "%START_TIME%", "route_name": "%ROUTE_NAME%", "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "protocol": "%PROTOCOL%", "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%", "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%", "bytes_received": "%BYTES_RECEIVED%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%", "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%", "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%", "authority": "%REQ(:AUTHORITY)%", "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%", "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%", "requested_server_name": "%REQUESTED_SERVER_NAME%",
}  # fmt: skip
_FORMATS = {"text": {"text_format_source": {"inline_string": _TEXT}}, "json": {"json_format": _JSON}}


def _access_log(form: str) -> list[dict[str, Any]]:
    """To a file that keeps nothing: what the disk costs is the kernel's."""
    kind = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    return [{"name": "log", "typed_config": {"@type": kind, "path": "/dev/null", "log_format": _FORMATS[form]}}]


def http(
    admin: int, listen: int, upstream: int, routes: int = 10, log: str = "", action: dict[str, Any] | None = None
) -> dict[str, Any]:
    """``routes`` prefix routes, of which the last takes everything; ``log``: a format that requests are logged in.

    ``action``: what the routes have beside their cluster.
    """
    route = {"cluster": "upstream", **(action or {})}
    table = [{"match": {"prefix": f"/service-{number}/"}, "route": route} for number in range(routes - 1)]
    table.append({"match": {"prefix": "/"}, "route": route})
    manager = {
        "@type": f"{_TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "access_log": _access_log(log) if log else [],
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


def add_clusters(content: dict[str, Any], count: int, upstream: int) -> None:
    """So many more, like the one that is there."""
    clusters: list[Any] = content["static_resources"]["clusters"]
    endpoint = {"endpoint": {"address": _socket(upstream)}}
    for number in range(count):
        name = f"idle-{number}"
        assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
        clusters.append({"name": name, "type": "STATIC", "connect_timeout": "5s", "load_assignment": assignment})


def add_tls(content: dict[str, Any], folder: Path) -> None:
    """Clients come by TLS, and see `server` of tests/kit/pki.py."""
    certificate = {"certificate_chain": {"filename": f"{folder}/server.pem"},
                   "private_key": {"filename": f"{folder}/server.key"}}  # fmt: skip
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [certificate]},
    }
    chain = content["static_resources"]["listeners"][0]["filter_chains"][0]
    chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}


def tcp(admin: int, listen: int, upstream: int) -> dict[str, Any]:
    proxy = {"@type": f"{_TYPE}.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "bench", "cluster": "upstream"}
    return _bootstrap(admin, listen, upstream, {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy})
