"""One address that serves a cluster."""

from typing import TYPE_CHECKING, Any

from meshproxy.net.connection import address_text
from meshproxy.upstream.stats import EndpointStats

if TYPE_CHECKING:
    from meshproxy.upstream.http1_pool import Http1Pool


class Endpoint:
    """address: (host, port), or (path, 0) for a unix socket. hostname: the name it was resolved from, or ""."""

    __slots__ = (
        "address", "address_text", "canary", "healthy", "hostname", "locality", "metadata", "pool", "priority", "stats",
        "weight",
    )  # fmt: skip

    def __init__(
        self, address: tuple[str, int], hostname: str = "", weight: int = 1, priority: int = 0,
        locality: tuple[str, str, str] = ("", "", ""), metadata: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.address = address
        self.address_text = address_text(address)
        self.hostname = hostname
        self.weight = weight
        self.priority = priority
        self.locality = locality
        self.metadata: dict[str, Any] = metadata or {}
        self.canary = False
        self.healthy = True
        self.stats = EndpointStats()
        # The HTTP/1 connections of this worker to this endpoint; made on first use.
        self.pool: Http1Pool | None = None
