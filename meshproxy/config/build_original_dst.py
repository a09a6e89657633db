"""Clusters of type ORIGINAL_DST (envoy.config.cluster.v3.Cluster.OriginalDstLbConfig)."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from meshproxy.config.build_balancers import provided_by_cluster
from meshproxy.config.view import View
from meshproxy.http.headers import PSEUDO
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.path_match import fold_case
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.original_dst import OriginalDst

_DEFAULT_HEADER = "x-envoy-original-dst-host"
Ask = Callable[[Any], str | None]


def build_original_dst(cluster: Cluster, view: View) -> None:
    """Gives the cluster the balancer that makes endpoints out of destinations."""
    if not provided_by_cluster(view):
        policy = "of load_balancing_policy" if view.load_balancing_policy else view.enum("lb_policy")
        allowed = "Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'"
        view.reject("lb_policy", f"LB policy {policy} is not valid for Cluster type ORIGINAL_DST. {allowed}")
    if view.has("load_assignment"):
        view.reject("load_assignment", "ORIGINAL_DST clusters must have no load assignment configured")
    found = OriginalDst(cluster)
    found.cleanup_seconds = view.seconds("cleanup_interval", found.cleanup_seconds) or found.cleanup_seconds
    settings = view.original_dst_lb_config
    found.port = settings.get("upstream_port_override")
    found.asked = _asked(settings)
    cluster.balancer = cluster.discovery = found


def _asked(settings: View) -> tuple[Ask, ...]:
    """Metadata goes before the header."""
    asked = [_from_metadata(settings.metadata_key)] if settings.metadata_key else []
    name = settings.http_header_name
    if settings.use_http_header:
        asked.append(_from_header(fold_case(wire_text(name)) or _DEFAULT_HEADER))
    elif name:
        settings.reject("http_header_name", "Set use_http_header to true if http_header_name is desired.")
    return tuple(asked)


def _from_metadata(view: View) -> Ask:
    """envoy.type.metadata.v3.MetadataKey in dynamic metadata: a text, or a list that begins with one."""
    path = [wire_text(name) for name in (view.key, *(segment.key for segment in view.path))]

    def ask(stream: Any) -> str | None:
        for value in (stream.metadata, stream.connection.metadata):
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, list) and value:
                value = value[0]
            if isinstance(value, str):
                return value
        return None

    return ask


def _from_header(name: str) -> Ask:
    """The first line of that name. It may come from a client: as in Envoy, whoever configures it has to know."""
    attribute = PSEUDO.get(name)
    if attribute is not None:
        read = attrgetter(attribute)
        return lambda stream: read(stream.request) or None if stream.request is not None else None

    def ask(stream: Any) -> str | None:
        request = stream.request
        return request.get_all(name)[0] if request is not None and name in request.index else None

    return ask
