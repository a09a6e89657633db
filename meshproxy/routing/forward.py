"""The action that forwards to a cluster (envoy.config.route.v3.RouteAction)."""

from typing import TYPE_CHECKING

from meshproxy.http.filter import LocalReply
from meshproxy.http.stream import Stream
from meshproxy.routing.attempt import Attempt
from meshproxy.upstream.cluster import Clusters

if TYPE_CHECKING:
    from meshproxy.routing.router import Router


class Forward:
    """`timeout` in seconds, 0 for none."""

    __slots__ = ("cluster_name", "clusters", "not_found_status", "timeout", "timeout_text")

    def __init__(self, clusters: Clusters, cluster_name: str, timeout: float = 15.0) -> None:
        self.clusters = clusters
        self.cluster_name = cluster_name
        self.timeout = timeout
        self.timeout_text = str(round(timeout * 1000))
        self.not_found_status = 503

    def start(self, router: "Router", stream: Stream, end: bool) -> None:
        name = self.cluster_name
        cluster = self.clusters.by_name.get(name)
        if cluster is None:
            stream.reply(LocalReply(self.not_found_status, b"", "cluster_not_found", flag="NC"))
            return
        stream.cluster_name = name
        request = stream.request
        for edit in stream.route.request_edits:
            edit(stream)
        if self.timeout and not router.suppress_envoy_headers:
            request.add("x-envoy-expected-rq-timeout-ms", self.timeout_text)
        attempt = Attempt(stream, cluster, self)
        stream.upstream = attempt
        attempt.start(end)
