"""What the builders of load balancing policies share."""

from collections.abc import Callable
from typing import Any

from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.http.headers import Headers
from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.priorities import PrioritySettings
from meshproxy.upstream.stats import ClusterStats

# Makes a balancer (upstream.priorities.Balancer): there may have to be many of a kind, one for each subset.
MakeBalancer = Callable[[], Any]


class LbScope:
    """The cluster whose balancer is built. groups: stats that the balancer has beside the cluster's, by their names."""

    __slots__ = ("_cluster", "ctx", "groups", "load_reports", "stats")

    def __init__(self, ctx: Context, stats: ClusterStats, cluster: View) -> None:
        self.ctx = ctx
        self.stats = stats
        self.groups: dict[str, StatGroup] = {}
        # Hears of trailers, where the policy asks for what endpoints report of their load.
        self.load_reports: Callable[[Endpoint, Headers], None] | None = None
        self._cluster = cluster

    def settings(self) -> PrioritySettings:
        """Fresh ones: what belongs to the cluster is in them, what belongs to the policy is to be added."""
        settings = PrioritySettings(self.ctx.runtime)
        node = self.ctx.node
        settings.local = (node.region, node.zone, node.sub_zone)
        common = self._cluster.common_lb_config
        if common.has("healthy_panic_threshold"):
            settings.panic_threshold = int(common.healthy_panic_threshold.value)
        policy = self._cluster.load_assignment.policy
        settings.overprovisioning = policy.get("overprovisioning_factor", settings.overprovisioning)
        settings.weighted_health = policy.weighted_priority_health
        local = self.ctx.local_cluster
        if local is not None:
            settings.zones.locals = lambda: local.hosts
        return settings
