"""Faults on purpose: delays, errors, slow responses (envoy.extensions.filters.http.fault.v3.HTTPFault)."""

import asyncio
from collections.abc import Iterator
from typing import Any

from meshproxy.api import HttpFilter, LocalReply, Outcome, StatGroup, Stream

from .fault_settings import Settings

_CLUSTER, _NODE = "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node"


class FaultStats(StatGroup):
    """`http.<prefix>.fault.*`."""

    COUNTERS = ("aborts_injected", "delays_injected", "faults_overflow", "response_rl_injected")
    GAUGES = ("active_faults",)

    __slots__ = (*COUNTERS, *GAUGES, "by_cluster")

    def __init__(self) -> None:
        super().__init__()
        # By the service that called, and which of the counters.
        self.by_cluster: dict[str, int] = {}

    def count(self, cluster: str, name: str) -> None:
        if cluster:
            key = f"{cluster}.{name}"
            self.by_cluster[key] = self.by_cluster.get(key, 0) + 1
        setattr(self, name, getattr(self, name) + 1)

    def more(self) -> Iterator[Any]:
        for name, value in self.by_cluster.items():
            yield "counter", name, value

    def reset(self) -> None:
        super().reset()
        self.by_cluster = dict.fromkeys(self.by_cluster, 0)


class Fault(HttpFilter):
    """In the chain it has a hook only where it would do something (`ActiveFault`)."""

    def __init__(self, stats: FaultStats) -> None:
        self.stats = stats

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "Fault":
        stats = FaultStats()
        ctx.stats.add(f"{ctx.stat_prefix}fault", stats)
        settings = Settings(config, ctx)
        return cls(stats) if settings.idle else _active(settings, stats)

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> Settings:
        return Settings(config, ctx)

    def for_route(self, override: Settings) -> "Fault | None":
        if override.idle:
            return None
        active = _active(override, self.stats)
        active.name = self.name
        return active


class ActiveFault(Fault):
    def __init__(self, settings: Settings, stats: FaultStats) -> None:
        super().__init__(stats)
        self._settings = settings

    def on_request_headers(self, stream: Stream, end: bool) -> Outcome:
        settings, request = self._settings, stream.request
        if settings.upstream_cluster and _cluster_of(stream) != settings.upstream_cluster:
            return None
        if settings.nodes and request.get(_NODE) not in settings.nodes:
            return None
        if settings.matches is not None and not settings.matches(request):
            return None
        self._limit(stream)
        caller = request.get(_CLUSTER) or ""
        if settings.delay is not None:
            milliseconds = settings.delay.milliseconds(request, caller, settings.integer)
            if milliseconds > 0 and self._take(stream):
                self.stats.count(caller if settings.by_cluster else "", "delays_injected")
                stream.add_flag("DI")
                return self._wait(stream, milliseconds / 1000, caller)
        return self._abort(stream, caller)

    def on_done(self, stream: Stream) -> None:
        if stream.kept(self):
            self.stats.active_faults -= 1

    async def _wait(self, stream: Stream, seconds: float, caller: str) -> LocalReply | None:
        await asyncio.sleep(seconds)
        return self._abort(stream, caller)

    def _abort(self, stream: Stream, caller: str) -> LocalReply | None:
        settings = self._settings
        if settings.abort is None:
            return None
        reply = settings.abort.reply(stream.request, caller, settings.integer)
        if reply is None or not self._take(stream):
            return None
        self.stats.count(caller if settings.by_cluster else "", "aborts_injected")
        return reply

    def _limit(self, stream: Stream) -> None:
        """Of responses, where that is configured."""

    def _take(self, stream: Stream) -> bool:
        """One more request has faults, be they several; False where enough have."""
        if stream.kept(self):
            return True
        settings, stats = self._settings, self.stats
        if stats.active_faults >= settings.integer(settings.most_key, settings.most):
            stats.faults_overflow += 1
            return False
        stats.active_faults += 1
        stream.keep(self, True)
        if stream.metadata is None:
            stream.metadata = {}
        stream.metadata.setdefault(self.name, {}).update(settings.metadata)
        return True


class SlowingFault(ActiveFault):
    """With a response_rate_limit."""

    def _limit(self, stream: Stream) -> None:
        rate = self._settings.rate
        assert rate is not None
        kbps = rate.kbps(stream.request)
        if kbps and self._take(stream):
            self.stats.response_rl_injected += 1
            stream.keep(self._settings, kbps)

    def on_response_headers(self, stream: Stream, end: bool) -> None:
        kbps = stream.kept(self._settings)
        if kbps and not end:
            stream.limit_response(kbps)


def _active(settings: Settings, stats: FaultStats) -> ActiveFault:
    return (ActiveFault if settings.rate is None else SlowingFault)(settings, stats)


def _cluster_of(stream: Stream) -> str:
    route = stream.route
    if route is None or not route.action.forwards:
        return ""
    cluster = route.action.find_cluster(stream)
    return "" if cluster is None else str(cluster.name)
