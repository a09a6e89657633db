"""One process of the proxy: what it is built from, its states, what an operator can tell it, and how it stops.

Without workers the one process does everything. With workers this is built once in main; every worker is a fork of it
that serves the listeners, while main has the admin interface and passes on what operators say (see workers.py).
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from meshproxy.admin.admin import Admin
from meshproxy.admin.build_admin import build_admin
from meshproxy.admin.server_view import DrainStatus, Shown
from meshproxy.config.bootstrap import Loaded
from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.build_dns import build_resolver
from meshproxy.config.build_listeners import build_listener
from meshproxy.config.build_outlier_detection import build_outlier_log
from meshproxy.config.build_overload import build_overload
from meshproxy.config.build_process_log import build_log_format
from meshproxy.config.build_runtime import build_runtime
from meshproxy.config.build_server import build_local_cluster, build_node, read_rest, watch_local_cluster
from meshproxy.config.build_socket_options import build_bind
from meshproxy.config.build_stats_config import build_stats_config
from meshproxy.config.build_watchdogs import build_watchdogs
from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.downstream.drain import InFlight
from meshproxy.downstream.http_stats import RouterStats
from meshproxy.downstream.listener import Listener
from meshproxy.downstream.overload_manager import OverloadManager
from meshproxy.net.count import Counts
from meshproxy.net.runtime_layers import RuntimeLayers
from meshproxy.net.shared_numbers import SharedNumbers
from meshproxy.net.slices import Turns
from meshproxy.net.tasks import start_task
from meshproxy.observe import peers
from meshproxy.observe.failures import Failure
from meshproxy.observe.loop_lag import LoopLag
from meshproxy.observe.memory import memory_of_all
from meshproxy.observe.peers import Peer
from meshproxy.observe.server_stats import ProcessStats, ServerStats
from meshproxy.observe.sinks.flush import take_timings
from meshproxy.observe.sinks.statsd import Timings
from meshproxy.observe.snapshot import Part, take
from meshproxy.observe.stats import SampledHistogram, StatGroup
from meshproxy.observe.watchdog import Watchdog
from meshproxy.process import endpoint_counts
from meshproxy.process.accidents import Building
from meshproxy.process.drains import Drains, add_up
from meshproxy.process.flushes import Flushes
from meshproxy.process.listener_set import ListenerSet
from meshproxy.process.options import Options
from meshproxy.process.shared import SharedLog, SharedRuntime
from meshproxy.process.version import version_line, version_number
from meshproxy.upstream.host_states import HostStates
from meshproxy.upstream.log_stream import close_all
from meshproxy.upstream.runtime_limits import RuntimeLimits

if TYPE_CHECKING:
    from meshproxy.net.file_watch import FileWatch
    from meshproxy.process.channel import Words
    from meshproxy.process.workers import Said, Workers

_log = logging.getLogger("main")

_CONNECTIONS = "overload.global_downstream_max_connections"

# The value of the gauge server.state is the place in this list.
STATES = LIVE, DRAINING, PRE_INITIALIZING, INITIALIZING = "LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING"


# Between two looks at whether a drain is over.
_LOOK_SECONDS = 0.1


class Server:
    """Builds everything from a loaded bootstrap, then starts, serves and stops it."""

    def __init__(
        self, options: Options, loaded: Loaded, loop: asyncio.AbstractEventLoop, process_log: SharedLog | None = None
    ) -> None:
        self.options = options
        self.bootstrap: Any = loaded.message
        self.loop = loop
        self.version = version_line()
        self._version_number = version_number()
        self.started = time.time()
        # By a clock that nobody sets.
        self._began = time.monotonic()
        self.process_log = process_log or SharedLog()
        self.process_log.tell = self._tell
        self.admin: Admin | None = None
        # Of main, where there are any.
        self.workers: Workers | None = None
        self.numbers = SharedNumbers(options.concurrency) if options.concurrency > 1 else None
        self.ctx = Context(
            loop, options=vars(options), counts=Counts(self.numbers), host_states=HostStates(self.numbers),
            runtime_layers=RuntimeLayers(SharedRuntime(self._tell)),
        )  # fmt: skip
        self.ctx.stats.add("runtime", self.ctx.runtime_layers.stats)
        self.ctx.log_files.flush_seconds = options.file_flush_interval_msec / 1000
        self.ctx.log_files.flush_bytes = options.file_flush_min_size_kb * 1024
        self.ctx.stats.add("filesystem", self.ctx.log_files.stats)
        self.stats = ProcessStats(self.ctx.stats)
        self.ctx.stats.add("http.async-client", RouterStats())
        self.stats.server.refresh = self._refresh_stats
        self.listener_set = ListenerSet(self.stats.listeners)
        self.overload = OverloadManager(self.ctx.overload)
        # Of main and of a worker; a process that is both has both.
        self._watchdogs: list[Watchdog] = []
        self._lag: LoopLag | None = None
        self._loaded: Loaded | None = loaded
        self._phase = PRE_INITIALIZING
        self.drains = Drains(
            loop, self.listener_set, options.drain_time_s, options.drain_strategy == "gradual",
            self.ctx.server_health, self._tell,
        )  # fmt: skip
        self._in_flight: list[InFlight] = []
        self._running: asyncio.Task[Any] | None = None
        self._runtime_watch: FileWatch | None = None
        self._flushes = Flushes()
        # It ends because it cannot serve any more.
        self.broken = False

    @property
    def state(self) -> str:
        """As /ready shows it: a process that fails its health checks on purpose is draining."""
        drains = self.drains
        return DRAINING if (drains.failed or drains.leaving) and self._phase == LIVE else self._phase

    @property
    def listeners(self) -> list[Listener]:
        return self.listener_set.all

    # ---- building ----

    def build(self) -> None:
        """Everything that the configuration says, in Envoy's order; all faults end up in the problems of `loaded`."""
        loaded, self._loaded = self._loaded, None
        assert loaded is not None, "a server is built once"
        view, ctx = loaded.view, self.ctx
        failed: list[str] = []

        def building(where: str) -> Building:
            return Building(loaded.problems, where, failed)

        self._build_process(view, building)
        self._build_traffic(view, building)
        with building("stats_sinks"):
            self._flushes.build(view, ctx, self._take_stats, self.stat_parts, self._take_timings)
            self._version_number = view.get("stats_server_version_override", self._version_number)
        with building("admin"):
            self.admin = build_admin(view.admin, self)
        with building(""):
            read_rest(view)
        loaded.report_unread(failed)

    def _build_process(self, view: View, building: Callable[[str], Building]) -> None:
        """What the process is and does by itself."""
        ctx = self.ctx
        with building("node"):
            ctx.node = build_node(view, self.options)
        with building("application_log_config"):
            if (form := build_log_format(view.application_log_config, self.options.log_format)) is not None:
                self.process_log.set_format(form)
        with building("stats_config"):
            ctx.stats_config = build_stats_config(view.stats_config, ctx)
        if view.stats_sinks:
            self._keep_timings()
        with building("layered_runtime"):
            ctx.runtime_layers.sources = build_runtime(view.layered_runtime, ctx.node.cluster)
            ctx.runtime_layers.load()
        with building("watchdogs"):
            main, worker = build_watchdogs(view)
            self._watchdogs = [Watchdog(main, self.stats.watchdog), Watchdog(worker, self.stats.worker_watchdog)]
        with building("overload_manager"):
            self.overload = build_overload(view.overload_manager, ctx)
        with building(""):
            ctx.lookup = build_resolver(view)

    def _build_traffic(self, view: View, building: Callable[[str], Building]) -> None:
        """Where requests come from, and where they go."""
        ctx = self.ctx
        with building("cluster_manager"):
            ctx.upstream_bind = build_bind(view.cluster_manager.upstream_bind_config)
            ctx.outlier_log = build_outlier_log(view.cluster_manager.outlier_detection, ctx)
            ctx.local_cluster = build_local_cluster(view.cluster_manager, ctx)
        for secret in view.static_resources.secrets:
            with building(secret.where):
                ctx.secrets.add(secret)
        for cluster in view.static_resources.clusters:
            with building(cluster.where):
                add_cluster(cluster, ctx)
                cluster.settle()
                self.stats.clusters.cluster_added += 1
        with building("cluster_manager.local_cluster_name"):
            watch_local_cluster(ctx)
        # Where there is no monitor of connections, the old way to limit them.
        others = {} if ctx.connections.monitored else {_CONNECTIONS: ctx.connections.allowed}
        limits = RuntimeLimits(ctx.clusters, ctx.runtime, others)
        limits.apply()
        ctx.runtime.changed.append(limits.apply)
        for listener in view.static_resources.listeners:
            with building(listener.where):
                self.listener_set.add(build_listener(listener, ctx))
                listener.settle()
        ctx.secrets.settle()

    def _keep_timings(self) -> None:
        """Before anything is built whose histograms sinks want to have value by value."""
        StatGroup.HISTOGRAM = SampledHistogram
        self.stats.server.initialization_time_ms = SampledHistogram()

    # ---- the life of the process ----

    async def run(self) -> None:
        """Starts, and serves until a signal or /quitquitquit, which may come while clusters still warm up."""
        self._running = asyncio.current_task()
        self._heed_signals()
        self.watch()
        try:
            await self.start()
            await self._until_told()
        except asyncio.CancelledError:
            if self._running is not None:
                raise
        finally:
            await self.stop()

    async def start(self) -> None:
        """Opens what has to be open; raises BindError or ConfigError with one clear line."""
        if self.admin is not None:
            await self.admin.start()
            if self.options.admin_address_path:
                self._write_admin_address(self.admin)
        self.listener_set.bind()
        self._watch_runtime()
        self.ctx.host_states.to_workers = partial(self._tell, "host_states")
        await self.warm()
        if self.workers is None:
            await self.listener_set.start()
        else:
            balanced = any(listener.balance is not None for listener in self.listeners)
            await self.workers.start(self.listener_set.listen(self.options.concurrency), balanced)
        self.overload.start(self.loop, partial(self._tell, "overload"))
        self.stats.server.initialization_time_ms.record(int((time.monotonic() - self._began) * 1000))
        self.live()
        self._flushes.start()
        _log.info("all clusters and listeners are ready: starting to serve")

    async def warm(self) -> None:
        """Every cluster has had a first answer about its endpoints."""
        self.ctx.clusters.start()
        await self.ctx.clusters.warm()
        self.stats.clusters.active_clusters = len(self.ctx.clusters.by_name)
        for cluster in self.ctx.clusters:
            cluster.stats.warming_state = 0
        self.stats.thread_clusters.clusters_inflated = len(self.ctx.clusters.by_name)
        self.stats.clusters.warming_clusters = 0
        self._phase = INITIALIZING

    def _watch_runtime(self) -> None:
        """Layers are read again when a link to their directory is swapped. Raises OSError without a watch."""
        layers = self.ctx.runtime_layers
        if layers.links:
            # Most processes do without the C library's inotify.
            from meshproxy.net.file_watch import FileWatch

            self._runtime_watch = watch = FileWatch(self.loop)
            for link in layers.links:
                watch.add(link, layers.load)
        # Once more, for what was swapped before anybody watched.
        layers.load()

    def watch(self) -> None:
        """Stalls are counted from now on, and how late the loop is."""
        dispatchers = [self.stats.dispatcher, self.stats.worker_dispatcher]
        if self.numbers is not None:
            del self._watchdogs[1 if self.numbers.in_main else 0]
            del dispatchers[1 if self.numbers.in_main else 0]
        self._lag = LoopLag(dispatchers)
        self._lag.start(self.loop)
        for watchdog in self._watchdogs:
            watchdog.start(self.loop)
        self.ctx.tls_files.start(self.loop)

    def live(self) -> None:
        self._phase = LIVE

    async def stop(self) -> None:
        """Closes everything; what was in flight is logged, and logs that wait are written."""
        self.overload.close()
        for watchdog in self._watchdogs:
            watchdog.close()
        if self._lag is not None:
            self._lag.close()
        self.listener_set.close(self.listeners)
        await self._flushes.stop()
        if self.workers is not None:
            await self.workers.stop()
        await self.listener_set.end_connections()
        await close_all(self.ctx.log_streams.values())
        self.ctx.clusters.close()
        if self._runtime_watch is not None:
            self._runtime_watch.close()
        self.ctx.tls_files.close()
        if self.admin is not None:
            self.admin.close()
        self.ctx.log_files.close()

    def quit(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    def fail(self) -> None:
        """No worker is left."""
        self.broken = True
        self.quit()

    async def _until_told(self) -> None:
        """init_only has nothing to wait for."""
        if self.options.mode != "init_only":
            await asyncio.get_running_loop().create_future()

    def _heed_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._signalled, number)
        self.loop.add_signal_handler(signal.SIGUSR1, self._reopen_logs_on_signal)
        self.loop.add_signal_handler(
            signal.SIGHUP, _log.warning, "caught and eating SIGHUP. There is no hot restart."
        )  # fmt: skip

    def _signalled(self, number: int) -> None:
        _log.warning("caught %s", "ENVOY_SIGTERM" if number == signal.SIGTERM else "SIGINT")
        drains = number == signal.SIGTERM and self.options.on_sigterm == "drain" and self._phase == LIVE
        if drains and not self.drains.leaving:
            start_task(self._leave(), "drain")
        else:
            self.quit()

    async def _leave(self) -> None:
        """--on-sigterm drain."""
        _log.info("draining: the process ends with its last connection, or in %d s", self.options.drain_time_s)
        await self.drains.leave(self._look, _LOOK_SECONDS)
        left = sum(each.connections for each in self._in_flight)
        _log.info("drained: %d connections are left", left)
        self.quit()

    def _reopen_logs_on_signal(self) -> None:
        _log.info("caught SIGUSR1. Reopening access logs.")
        self.reopen_logs()

    def _write_admin_address(self, admin: Admin) -> None:
        path = self.options.admin_address_path
        try:
            admin.write_address(path)
        except OSError as error:
            # Envoy serves all the same.
            _log.critical("cannot open admin address output file %s for writing: %s", path, error.strerror)

    # ---- what the admin pages ask for (admin.server_view.Server) ----

    async def refresh(self, shown: Shown) -> None:
        """Asks the workers for what the next page shows of them."""
        if shown == "drain":
            await self._look()
        if shown == "stats":
            self._flushes.asked()
        if shown in ("stats", "all"):
            await self._take_stats()
        if self.workers is None:
            return
        if shown in ("endpoints", "all"):
            endpoint_counts.put(self.ctx.clusters, await self.workers.take_endpoints())
        if shown in ("failures", "all"):
            await self.workers.take_failures()
        if shown in ("peers", "all"):
            await self.workers.take_peers()

    async def _take_stats(self) -> None:
        if self.workers is not None:
            await self.workers.take_stats()

    async def _take_timings(self) -> list[Timings]:
        own: list[Timings] = []
        async for found in Turns().slices(take_timings(self.ctx.stats)):
            own += chain.from_iterable(found)
        return own if self.workers is None else [*own, *await self.workers.take_timings()]

    def stat_parts(self) -> Iterator[Part]:
        yield from take(self.ctx.stats)
        if self.workers is not None:
            yield from self.workers.stat_parts()

    def failures(self) -> list[Failure]:
        return self.ctx.failures.newest() if self.workers is None else self.workers.failures()

    def peers(self) -> list[Peer]:
        groups = [self.ctx.peers.rows()]
        return peers.merge(groups if self.workers is None else [*groups, *self.workers.peers()])

    def reset_counters(self) -> None:
        self.ctx.stats.reset()
        self._tell("reset_counters")

    def reopen_logs(self) -> None:
        """SIGUSR1 and /reopen_logs."""
        self.ctx.log_files.reopen()
        self.process_log.reopen()
        self._tell("reopen_logs")

    def fail_health_checks(self, fail: bool) -> None:
        self.drains.fail_health_checks(fail)

    def drain_listeners(self, graceful: bool, skip_exit: bool, inbound_only: bool) -> None:
        self.drains.drain_listeners(graceful, skip_exit, inbound_only)

    def drain_status(self) -> DrainStatus:
        return self.drains.status(self._in_flight)

    async def _look(self) -> list[InFlight]:
        """What is in flight, in this process or in all workers."""
        everywhere = [self.drains.in_flight()]
        if self.workers is not None:
            everywhere += await self.workers.take_in_flight()
        self._in_flight = add_up(everywhere)
        return self._in_flight

    def said(self) -> "Said":
        """What a new worker has to know of what operators said before it was there."""
        layers = ("set_runtime", self.ctx.runtime.layers)
        overload = ("overload", self.ctx.overload.values())
        hosts = ("host_states", self.ctx.host_states.said())
        return [layers, overload, hosts, ("set_log_levels", self.process_log.now()), *self.drains.said()]

    @property
    def words(self) -> "Words":
        """What workers say."""
        return {"host_report": partial(self.ctx.host_states.take_report, self.ctx.clusters)}

    def _tell(self, word: str, *arguments: Any) -> None:
        if self.workers is not None:
            self.workers.tell(word, *arguments)

    def _refresh_stats(self, stats: ServerStats) -> None:
        stats.uptime = int(time.monotonic() - self._began)
        stats.state = STATES.index(self._phase)
        stats.live = int(self.state == LIVE)
        stats.concurrency = self.options.concurrency
        stats.version = self._version_number
        if self.numbers is None or self.numbers.in_main:
            # Of the whole proxy, also of the process that forks workers and has no numbers of its own.
            stats.memory_allocated, stats.memory_physical_size = memory_of_all()
            stats.memory_heap_size = stats.memory_allocated
        stats.total_connections = sum(listener.open for listener in self.listeners)
