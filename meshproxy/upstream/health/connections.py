"""Connections of health checks: made as the cluster makes its own, but counted by nobody and limited by nothing."""

from dataclasses import replace
from typing import Any

from meshproxy.net.count import UNLIMITED
from meshproxy.net.transport_options import NO_OPTIONS, Secured, TransportOptions
from meshproxy.upstream.balancers.random import Random
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.pool import Pool
from meshproxy.upstream.transports import MATCHED


class CheckConnections:
    """Of one health check of a cluster. protocol: see pool_settings."""

    def __init__(self, cluster: Cluster, protocol: str) -> None:
        self.cluster = cluster
        self._protocol = protocol
        # Offered by TLS in the place of the cluster's (HealthCheck.tls_options), and what the transport socket is
        # chosen by in the place of the endpoint's metadata (transport_socket_match_criteria).
        self.alpn: tuple[str, ...] = ()
        self.criteria: dict[str, Any] | None = None
        # Stands in for the cluster, whose counters and limits are for requests.
        self._double: Cluster | None = None

    def scheme(self, double: Endpoint) -> str:
        """Of requests: what TLS makes of it."""
        secured = self.secured(double)
        return "https" if secured is not None and secured.tls is not None else "http"

    def secured(self, double: Endpoint) -> Secured | None:
        """For a connection that is of no pool."""
        return self.cluster.secured(double, self._options())

    def _options(self) -> TransportOptions:
        return NO_OPTIONS._replace(alpn=self.alpn) if self.alpn else NO_OPTIONS

    def double(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint as checks see it: at the address for checks, with connections of its own."""
        metadata = endpoint.metadata if self.criteria is None else {MATCHED: self.criteria}
        double = Endpoint(endpoint.check_address, endpoint.hostname, metadata=metadata)
        double.cluster = self._cluster()
        return double

    def pool(self, double: Endpoint) -> Pool:
        pool = self._cluster().pool(double)
        assert pool is not None, "nothing limits how many there are"
        pool.options = self._options()
        return pool

    def _cluster(self) -> Cluster:
        """Made when the first check needs it: the cluster is complete by then."""
        if self._double is None:
            original = self.cluster
            # The time of the check bounds everything; what bounds requests does not hold.
            settings = replace(
                original.pool_settings, protocol=self._protocol, connect_timeout=0.0, max_duration=0.0, max_requests=0,
                max_stream_duration=0.0, preconnect_ratio=1.0,
            )  # fmt: skip
            nothing: Any = Random()
            double = self._double = Cluster(original.name, nothing, settings)
            double.socket_options = original.socket_options
            double.transports = original.transports
            for count in _counts(double):
                count.maximum = UNLIMITED
        return self._double


def _counts(cluster: Cluster) -> list[Any]:
    limits = cluster.limits.default
    return [limits.connections, limits.pending, limits.requests, limits.pools]
