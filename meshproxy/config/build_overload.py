"""envoy.config.overload.v3.OverloadManager."""

from collections.abc import Callable, Iterator
from pathlib import Path

from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.downstream.overload import ACTIONS, POINT, Action, ActionStats, Overload, ShedPoint
from meshproxy.downstream.overload_manager import Monitor, OverloadManager, Resource, Trigger
from meshproxy.downstream.overload_memory import ResetStats, Shrinker, reset_largest
from meshproxy.downstream.resource_monitors import (
    CgroupMemory,
    CpuOfContainer,
    CpuOfHost,
    FixedHeap,
    InjectedResource,
)

CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"
_MONITORS = "envoy.extensions.resource_monitors."
_SCALE_TIMERS = "envoy.config.overload.v3.ScaleTimersOverloadActionConfig"
_REDUCE_TIMEOUTS = "envoy.overload_actions.reduce_timeouts"
_CLOSE_IDLE = "envoy.overload_actions.close_idle_http_connections"
_RESET = "envoy.overload_actions.reset_high_memory_stream"
_SHRINK = "overload.envoy.overload_actions.shrink_heap"
_POINTS = frozenset(
    {
        "http_connection_manager_decode_headers", "http2_server_go_away_and_close_on_dispatch",
        "http2_server_go_away_on_dispatch", "tcp_listener_accept",
    }
)  # fmt: skip
_TIMERS = frozenset(
    {"HTTP_DOWNSTREAM_CONNECTION_IDLE", "HTTP_DOWNSTREAM_CONNECTION_MAX", "HTTP_DOWNSTREAM_STREAM_IDLE"}
)


def build_overload(view: View, ctx: Context) -> OverloadManager:
    """The manager, which has still to be started; what it decides is in `ctx.overload`."""
    manager = OverloadManager(ctx.overload)
    ctx.connections.allowed = ctx.counts.make()
    manager.interval = max(view.seconds("refresh_interval", 1.0) or 0.0, 0.001)
    resources = _build_resources(view, manager, ctx)
    _build_actions(view, manager, resources, ctx)
    _build_points(view, manager, resources, ctx)
    power = view.buffer_factory_config.minimum_account_to_track_power_of_two
    # 0 stands for accounts that nobody keeps.
    ctx.overload.least_memory = 1 << power if power else 0
    _free_memory(ctx)
    if manager.resources:
        ctx.stats.add("overload", manager.refresh_stats)
    return manager


# ---- resources ----


def _build_resources(view: View, manager: OverloadManager, ctx: Context) -> dict[str, Resource]:
    found: dict[str, Resource] = {}
    for i, each in enumerate(view.resource_monitors):
        with view.at("resource_monitors", i):
            if each.name in found:
                raise ConfigError(f"Duplicate resource monitor {each.name}")
            found[each.name] = _build_resource(each, manager, ctx)
    return found


def _build_resource(view: View, manager: OverloadManager, ctx: Context) -> Resource:
    if view.name == CONNECTIONS:
        config = typed_config(view, f"{_MONITORS}downstream_connections.v3.DownstreamConnectionsConfig")
        ctx.connections.allowed.maximum = config.max_active_downstream_connections
        ctx.connections.monitored = True
        ctx.stats.add(f"overload.{CONNECTIONS}", ctx.connections.stats)
        # Listeners heed the limit by themselves: there is nothing to measure.
        return Resource(view.name, _Unmeasured())
    config = typed_config(view, *[f"{_MONITORS}{kind}" for kind in _BUILDERS])
    build = _BUILDERS[config.type_name.removeprefix(_MONITORS)]
    resource = Resource(view.name, build(config, ctx))
    manager.resources.append(resource)
    ctx.stats.add(f"overload.{view.name}", resource.stats)
    return resource


class _Unmeasured:
    def pressure(self) -> float:
        return 0.0


def _build_fixed_heap(view: View, ctx: Context) -> Monitor:
    limit = view.max_heap_size_bytes
    key = ""
    if view.has("max_heap_size_bytes_runtime"):
        limit = view.max_heap_size_bytes_runtime.default_value
        key = view.max_heap_size_bytes_runtime.runtime_key
    if limit <= 0:
        raise ConfigError("fixed_heap: max heap size must be greater than 0")
    return FixedHeap(lambda: ctx.runtime.integer(key, limit) or limit if key else limit)


def _build_injected(view: View, ctx: Context) -> Monitor:
    try:
        return InjectedResource(Path(view.filename))
    except OSError as error:
        raise ConfigError(f"unable to add filesystem watch for file {view.filename}: {error.strerror}") from None


def _build_cpu(view: View, ctx: Context) -> Monitor:
    return CpuOfContainer(ctx.loop.time) if view.enum("mode") == "CONTAINER" else CpuOfHost()


_BUILDERS: dict[str, Callable[[View, Context], Monitor]] = {
    "cgroup_memory.v3.CgroupMemoryConfig": lambda view, ctx: CgroupMemory(view.max_memory_bytes),
    "cpu_utilization.v3.CpuUtilizationConfig": _build_cpu,
    "fixed_heap.v3.FixedHeapConfig": _build_fixed_heap,
    "injected_resource.v3.InjectedResourceConfig": _build_injected,
}


# ---- what is done about them ----


def _build_actions(view: View, manager: OverloadManager, resources: dict[str, Resource], ctx: Context) -> None:
    for i, each in enumerate(view.actions):
        with view.at("actions", i):
            name = each.name
            action = _build_action(each, ctx.overload)
            if name == _RESET and not view.buffer_factory_config:
                raise ConfigError(f'Overload action "{name}" requires buffer_factory_config.')
            triggers = _build_triggers(each, resources, f"overload action {name}", "overload action ")
            manager.triggers[name] = list(triggers)
            ctx.overload.actions[name] = action
            stats = manager.stats[name] = ActionStats()
            stats.active = stats.scale_percent = 0
            ctx.stats.add(f"overload.{name}", stats)


def _build_action(view: View, overload: Overload) -> Action:
    """Besides those that have a name of their own, an action may be any that scales timers."""
    name, config = view.name, view.typed_config
    scales = bool(config) and config.type_name == _SCALE_TIMERS
    if name not in ACTIONS and not scales:
        raise ConfigError(f"Unknown Overload Manager Action {name}")
    if name in overload.actions:
        raise ConfigError(f"Duplicate overload action {name}")
    if config and name in ACTIONS and (name != _REDUCE_TIMEOUTS or not scales):
        raise ConfigError(f'Overload action name "{name}" conflicts with its typed config')
    if name == _REDUCE_TIMEOUTS and not config:
        raise ConfigError(f'Overload action "{name}" requires typed_config')
    if name == _CLOSE_IDLE:
        view.ignore("name", why="it is about protocols that are not supported yet: it does nothing to HTTP/1 in Envoy")
    action = Action()
    if config:
        _read_timers(config.unpack(), name, action, overload)
    return action


def _read_timers(view: View, name: str, action: Action, overload: Overload) -> None:
    own: set[str] = set()
    for i, factor in enumerate(view.timer_scale_factors):
        with view.at("timer_scale_factors", i):
            timer = factor.enum("timer")
            if timer in own:
                raise ConfigError(f"Found duplicate entry for timer type {timer}")
            own.add(timer)
            if timer in overload.scaled_timers:
                both = f'"{_REDUCE_TIMEOUTS}" and "{name}"'
                raise ConfigError(f"Timer type is configured by both overload actions {both}")
            if timer not in _TIMERS:
                factor.ignore("timer", why=f"there are no timers of the kind {timer} yet")
            overload.scaled_timers[timer] = (action, _least(factor))


def _least(view: View) -> Callable[[float], float]:
    if view.which("overload_adjust") == "min_timeout":
        seconds: float = view.min_timeout
        return lambda most: min(seconds, most)
    share: float = view.min_scale.value / 100
    return lambda most: most * share


def _build_points(view: View, manager: OverloadManager, resources: dict[str, Resource], ctx: Context) -> None:
    points: set[str] = set()
    for i, each in enumerate(view.loadshed_points):
        with view.at("loadshed_points", i):
            name = each.name
            if name in points:
                raise ConfigError(f"Duplicate loadshed point {name}")
            if name in ctx.overload.actions:
                raise ConfigError(f'Load shed point "{name}" conflicts with an overload action of the same name')
            points.add(name)
            if name.removeprefix(POINT) not in _POINTS:
                each.ignore("name", why=f"there is no load shed point {name} here")
            point = ctx.overload.actions[name] = ShedPoint()
            triggers = _build_triggers(each, resources, f"loadshed point {name}", "LoadShedPoint ")
            manager.triggers[name] = list(triggers)
            point.stats.scale_percent = point.stats.shed_load_count = 0
            ctx.stats.add(f"overload.{name}", point.stats)


def _free_memory(ctx: Context) -> None:
    overload = ctx.overload
    if (reset := overload.action("reset_high_memory_stream")) is not None:
        stats = ResetStats()
        reset.on_change(lambda value: reset_largest(overload, value, stats) if value else None)
        ctx.stats.add(_RESET, stats)
    if (shrink := overload.action("shrink_heap")) is not None:
        shrinker = Shrinker(ctx.loop)
        shrink.on_change(shrinker.act)
        ctx.stats.add(_SHRINK, shrinker.stats)


def _build_triggers(view: View, resources: dict[str, Resource], what: str, kind: str) -> Iterator[Trigger]:
    seen: set[str] = set()
    for i, each in enumerate(view.triggers):
        with view.at("triggers", i):
            if each.name not in resources:
                raise ConfigError(f"Unknown trigger resource {each.name} for {what}")
            if each.name in seen:
                raise ConfigError(f"Duplicate trigger resource for {kind}{view.name}")
            seen.add(each.name)
            scaling, saturation = _thresholds(each)
            yield Trigger(resources[each.name], scaling, saturation)


def _thresholds(view: View) -> tuple[float, float]:
    if view.which("trigger_oneof") == "threshold":
        # Nothing is above it and below what saturates.
        return view.threshold.value, view.threshold.value
    scaling, saturation = view.scaled.scaling_threshold, view.scaled.saturation_threshold
    if scaling >= saturation:
        raise ConfigError("scaling_threshold must be less than saturation_threshold")
    return scaling, saturation


