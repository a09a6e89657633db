"""A gRPC service that the proxy itself calls (envoy.config.core.v3.GrpcService)."""

from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.http.headers import Pair
from meshproxy.upstream.grpc_client import GrpcClient
from meshproxy.upstream.grpc_retry import GrpcRetries

_GOOGLE = "the gRPC library of Google is not part of this proxy: use envoy_grpc, with a cluster that has the address"
# As Envoy's router has it (upstream.base_retry_backoff_ms).
_BASE_INTERVAL = 0.025
_MAX_FACTOR = 10


def build_grpc_service(view: View, ctx: Context, *, check_cluster: bool = False) -> GrpcClient:
    """A client for it. check_cluster: a cluster that the bootstrap does not have is an error now, and not of calls."""
    if view.which("target_specifier") == "google_grpc":
        view.reject("google_grpc", _GOOGLE)
    target = view.envoy_grpc
    name = target.cluster_name
    if check_cluster:
        cluster = ctx.clusters.by_name.get(name)
        if cluster is None:
            raise ConfigError(f"Unknown gRPC client cluster '{name}'")
        if cluster.added_via_api:
            raise ConfigError(f"gRPC client cluster '{name}' is not static")
    client = GrpcClient(
        ctx.clusters, name, authority=target.authority, timeout=view.seconds("timeout", 0.0) or 0.0,
        metadata=_metadata(view), max_message=target.get("max_receive_message_length", 0),
        envoy_headers=not target.skip_envoy_headers,
    )  # fmt: skip
    # The call's own goes before the target's.
    with view.at("envoy_grpc"):
        client.retries = _retries(target.retry_policy)
    with view.at("retry_policy"):
        client.retries = _retries(view.retry_policy) or client.retries
    return client


def _metadata(view: View) -> list[Pair]:
    pairs = []
    for i, entry in enumerate(view.initial_metadata):
        with view.at("initial_metadata", i):
            value = entry.value or entry.raw_value.decode("latin-1")
            if "%" in value.replace("%%", ""):
                raise ConfigError("operators are not supported in metadata of the proxy's own calls")
            pairs.append((entry.key.lower(), value.replace("%%", "%")))
    return pairs


def _retries(view: View) -> GrpcRetries | None:
    if not view:
        return None
    conditions = frozenset(each.strip() for each in view.retry_on.split(",") if each.strip())
    base, most = _BASE_INTERVAL, _BASE_INTERVAL * _MAX_FACTOR
    if view.has("retry_back_off"):
        base = view.retry_back_off.seconds("base_interval", _BASE_INTERVAL) or _BASE_INTERVAL
        most = view.retry_back_off.seconds("max_interval", 0.0) or base * _MAX_FACTOR
        if most < base:
            raise ConfigError("retry_policy.max_interval must greater than or equal the base_interval")
    return GrpcRetries(view.get("num_retries", 1), conditions, base, most)
