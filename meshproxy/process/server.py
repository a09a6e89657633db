"""One process that serves: what it is built from, its states, and how it stops."""

import asyncio
import logging
import signal
import time
from typing import Any

from meshproxy.admin.admin import Admin
from meshproxy.admin.build_admin import build_admin
from meshproxy.admin.memory import resident_bytes
from meshproxy.config.bootstrap import Loaded
from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.build_listeners import build_listener
from meshproxy.config.build_process_log import build_log_format
from meshproxy.config.build_server import build_node, build_runtime, global_connection_limit, read_rest
from meshproxy.config.build_stats_config import build_stats_config
from meshproxy.config.context import Context
from meshproxy.downstream.listener import Listener
from meshproxy.downstream.terminals import HttpTerminal
from meshproxy.observe.process_log import ProcessLog
from meshproxy.observe.server_stats import ProcessStats, ServerStats
from meshproxy.observe.snapshot import Snapshot, take
from meshproxy.process.options import Options
from meshproxy.process.version import version_line, version_number

_log = logging.getLogger("main")

# The value of the gauge server.state is the place in this list.
STATES = LIVE, DRAINING, PRE_INITIALIZING, INITIALIZING = "LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING"


class Server:
    """Builds everything from a loaded bootstrap, then starts, serves and stops it."""

    def __init__(self, options: Options, loaded: Loaded, loop: asyncio.AbstractEventLoop) -> None:
        self.options = options
        self.loaded = loaded
        self.loop = loop
        self.version = version_line()
        self.process_log = ProcessLog()
        self.admin: Admin | None = None
        self._phase = PRE_INITIALIZING
        self._failed = False
        self.started = time.time()
        self.listeners: list[Listener] = []
        self.ctx = Context(loop, options=vars(options))
        self.ctx.log_files.flush_seconds = options.file_flush_interval_msec / 1000
        self.ctx.log_files.flush_bytes = options.file_flush_min_size_kb * 1024
        self.ctx.stats.add("filesystem", self.ctx.log_files.stats)
        self.stats = ProcessStats(self.ctx.stats)
        self.stats.server.refresh = self._refresh_stats
        self._stopping = asyncio.Event()

    @property
    def bootstrap(self) -> Any:
        return self.loaded.message

    @property
    def state(self) -> str:
        """As /ready shows it: a process that fails its health checks on purpose is draining."""
        return DRAINING if self._failed and self._phase == LIVE else self._phase

    def build(self) -> None:
        """Everything that the configuration says, in Envoy's order; all faults end up in `loaded.problems`."""
        view, problems = self.loaded.view, self.loaded.problems
        with problems.collect():
            self.ctx.node = build_node(view, self.options)
        with problems.collect():
            if (form := build_log_format(view.application_log_config, self.options.log_format)) is not None:
                self.process_log.set_format(form)
        with problems.collect():
            self.ctx.stats_config = build_stats_config(view.stats_config, self.ctx)
        with problems.collect():
            build_runtime(view, self.ctx.runtime)
            self.stats.runtime.load_success += 1
        with problems.collect():
            self.ctx.connections.limit = global_connection_limit(view) or self.ctx.connections.limit
        for cluster in view.static_resources.clusters:
            with problems.collect():
                add_cluster(cluster, self.ctx)
                self.stats.clusters.cluster_added += 1
        for listener in view.static_resources.listeners:
            with problems.collect():
                self.listeners.append(build_listener(listener, self.ctx))
                self.stats.listeners.listener_added += 1
        with problems.collect():
            self.admin = build_admin(view.admin, self)
        with problems.collect():
            read_rest(view)
        self.loaded.report_unread()

    async def start(self) -> None:
        """Opens what has to be open; raises OSError or ConfigError with one clear line."""
        if self.admin is not None:
            await self.admin.start()
            if self.options.admin_address_path:
                self.admin.write_address(self.options.admin_address_path)
        self.ctx.clusters.start()
        await self.ctx.clusters.warm()
        self.stats.clusters.active_clusters = len(self.ctx.clusters.by_name)
        self.stats.clusters.warming_clusters = 0
        self._phase = INITIALIZING
        for listener in self.listeners:
            await listener.start()
            self.stats.listeners.listener_create_success += 1
        self.stats.listeners.total_listeners_active = len(self.listeners)
        self.stats.listeners.total_listeners_warming = 0
        self.stats.listeners.workers_started = 1
        self.stats.server.initialization_time_ms.record(int((time.time() - self.started) * 1000))
        self._phase = LIVE
        _log.info("all clusters and listeners are ready: starting to serve")

    async def run(self) -> None:
        """Serves until a signal or /quitquitquit."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._signalled, number)
        self.loop.add_signal_handler(signal.SIGUSR1, self.reopen_logs)
        self.loop.add_signal_handler(signal.SIGHUP, _log.info, "SIGHUP is ignored")
        await self._stopping.wait()

    async def stop(self) -> None:
        """Closes everything; logs that wait are written."""
        for listener in self.listeners:
            listener.close()
        self.ctx.clusters.close()
        if self.admin is not None:
            self.admin.close()
        self.ctx.log_files.close()

    # ---- what the admin pages ask for (admin.server_view.Server) ----

    def quit(self) -> None:
        self._stopping.set()

    def snapshot(self) -> Snapshot:
        return take(self.ctx.stats)

    def reset_counters(self) -> None:
        self.ctx.stats.reset()

    def reopen_logs(self) -> None:
        """SIGUSR1 and /reopen_logs."""
        self.ctx.log_files.reopen()
        self.process_log.reopen()

    def fail_health_checks(self, fail: bool) -> None:
        self._failed = fail
        self._drain_connections(self.listeners, fail)

    def drain_listeners(self, graceful: bool, skip_exit: bool, inbound_only: bool) -> None:
        """Connections end with their next response; the listeners stop now, after the drain time, or not at all."""
        chosen = [each for each in self.listeners if not inbound_only or each.traffic_direction == "INBOUND"]
        self._drain_connections(chosen, True)
        if skip_exit:
            return
        if graceful:
            self.loop.call_later(self.options.drain_time_s, self._stop_listeners, chosen)
        else:
            self._stop_listeners(chosen)

    def _stop_listeners(self, listeners: list[Listener]) -> None:
        for listener in listeners:
            listener.close()
            self.stats.listeners.listener_stopped += 1

    def _drain_connections(self, listeners: list[Listener], draining: bool) -> None:
        for chain in (chain for listener in listeners for chain in listener.chains):
            if isinstance(chain.terminal, HttpTerminal):
                chain.terminal.manager.draining = draining

    def _refresh_stats(self, stats: ServerStats) -> None:
        stats.uptime = int(time.time() - self.started)
        stats.state = STATES.index(self._phase)
        stats.live = int(self.state == LIVE)
        stats.concurrency = self.options.concurrency
        stats.version = version_number()
        stats.memory_allocated = stats.memory_heap_size = stats.memory_physical_size = resident_bytes()
        stats.total_connections = sum(listener.open for listener in self.listeners)
        stats.parent_connections = stats.hot_restart_epoch = 0
        runtime = self.ctx.runtime
        self.stats.runtime.num_layers = len(runtime.layers)
        self.stats.runtime.num_keys = len({key for _, values in runtime.layers for key in values})

    def _signalled(self, number: int) -> None:
        _log.warning("caught %s", signal.Signals(number).name)
        self.quit()

