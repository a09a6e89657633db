"""Stats of the process itself: `server`, `listener_manager`, `cluster_manager`, `runtime` and the watchdogs."""

from collections.abc import Callable, Iterator

from meshproxy.observe.stats import Registry, Row, StatGroup


class ServerStats(StatGroup):
    """`server.*`. `refresh` brings up to date what changes by itself, before anybody looks."""

    COUNTERS = (
        "debug_assertion_failures", "dropped_stat_flushes", "dynamic_unknown_fields", "envoy_bug_failures",
        "envoy_notifications", "static_unknown_fields", "wip_protos",
    )  # fmt: skip
    GAUGES = (
        "concurrency", "days_until_first_cert_expiring", "hot_restart_epoch", "live", "memory_allocated",
        "memory_heap_size", "memory_physical_size", "parent_connections", "seconds_until_first_ocsp_response_expiring",
        "state", "stats_recent_lookups", "total_connections", "uptime", "version",
    )  # fmt: skip
    HISTOGRAMS = ("initialization_time_ms",)
    SAME = frozenset({
        "concurrency", "days_until_first_cert_expiring", "hot_restart_epoch", "live", "state", "uptime", "version",
    })  # fmt: skip

    __slots__ = (*COUNTERS, *GAUGES, *HISTOGRAMS, "refresh")

    def __init__(self, refresh: Callable[["ServerStats"], None] = lambda _stats: None) -> None:
        super().__init__()
        self.refresh = refresh
        # Without certificates: the largest number there is.
        self.days_until_first_cert_expiring = 2**32 - 1
        # Envoy has written to these before anybody can look.
        self.dynamic_unknown_fields = self.static_unknown_fields = self.wip_protos = 0
        self.stats_recent_lookups = 0

    def update(self) -> None:
        self.refresh(self)

    def more(self) -> Iterator[Row]:
        yield "gauge", "compilation_settings.fips_mode", 0


class ListenerManagerStats(StatGroup):
    """`listener_manager.*`."""

    COUNTERS = (
        "listener_added", "listener_create_failure", "listener_create_success", "listener_in_place_updated",
        "listener_modified", "listener_removed", "listener_stopped",
    )  # fmt: skip
    GAUGES = (
        "total_filter_chains_draining", "total_listeners_active", "total_listeners_draining",
        "total_listeners_warming", "workers_pinned", "workers_started",
    )  # fmt: skip
    SAME = frozenset({*COUNTERS, *GAUGES} - {"listener_create_success", "listener_create_failure"})

    __slots__ = (*COUNTERS, *GAUGES)


class ClusterManagerStats(StatGroup):
    """`cluster_manager.*`."""

    COUNTERS = (
        "cluster_added", "cluster_modified", "cluster_removed", "cluster_updated", "cluster_updated_via_merge",
        "update_merge_cancelled", "update_out_of_merge_window",
    )  # fmt: skip
    GAUGES = ("active_clusters", "warming_clusters")
    SAME = frozenset({*COUNTERS, *GAUGES})

    __slots__ = (*COUNTERS, *GAUGES)


class ThreadClustersStats(StatGroup):
    """`thread_local_cluster_manager.<thread>.*`: every cluster is there from the beginning."""

    GAUGES = ("clusters_inflated",)
    SAME = frozenset(GAUGES)

    __slots__ = GAUGES


class RuntimeStats(StatGroup):
    """`runtime.*`."""

    COUNTERS = (
        "deprecated_feature_use", "load_error", "load_success", "override_dir_exists", "override_dir_not_exists",
    )  # fmt: skip
    GAUGES = ("admin_overrides_active", "deprecated_feature_seen_since_process_start", "num_keys", "num_layers")
    SAME = frozenset({*COUNTERS, *GAUGES})

    __slots__ = (*COUNTERS, *GAUGES)


class WatchdogStats(StatGroup):
    """`main_thread.*` and `server.main_thread.*`, or `workers.*` and `server.worker_<n>.*`."""

    COUNTERS = ("watchdog_mega_miss", "watchdog_miss")

    __slots__ = COUNTERS


class DispatcherStats(StatGroup):
    """`server.dispatcher.*` and `listener_manager.worker_<n>.dispatcher.*`: see loop_lag.py."""

    HISTOGRAMS = ("loop_lag_us",)

    __slots__ = HISTOGRAMS


class ProcessStats:
    """The groups of one process. `worker`: its number."""

    __slots__ = (
        "clusters", "dispatcher", "listeners", "server", "thread_clusters", "watchdog", "worker_dispatcher",
        "worker_watchdog",
    )  # fmt: skip

    def __init__(self, registry: Registry, worker: int = 0) -> None:
        self.server = ServerStats()
        self.listeners = ListenerManagerStats()
        self.clusters = ClusterManagerStats()
        self.watchdog = WatchdogStats()
        self.worker_watchdog = WatchdogStats()
        self.dispatcher = DispatcherStats()
        self.worker_dispatcher = DispatcherStats()
        self.thread_clusters = ThreadClustersStats()
        registry.add("server", self.server)
        registry.add("listener_manager", self.listeners)
        registry.add("cluster_manager", self.clusters)
        registry.add("server.dispatcher", self.dispatcher)
        registry.add(f"listener_manager.worker_{worker}.dispatcher", self.worker_dispatcher)
        for prefix in ("main_thread", "server.main_thread"):
            registry.add(prefix, self.watchdog)
        for prefix in ("workers", f"server.worker_{worker}"):
            registry.add(prefix, self.worker_watchdog)
        for thread in ("main_thread", f"worker_{worker}"):
            registry.add(f"thread_local_cluster_manager.{thread}", self.thread_clusters)
