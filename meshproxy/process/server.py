"""One process that serves: what it is built from, its states, and how it stops."""

import asyncio
import logging
import signal
import time
from contextlib import suppress

from meshproxy.config.bootstrap import Loaded
from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.build_listeners import build_listener
from meshproxy.config.build_server import build_node, build_runtime, global_connection_limit, read_rest
from meshproxy.config.context import Context
from meshproxy.downstream.listener import Listener
from meshproxy.process.options import Options

_log = logging.getLogger("main")

LIVE, DRAINING, PRE_INITIALIZING, INITIALIZING = "LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING"


class Server:
    """Builds everything from a loaded bootstrap, then starts, serves and stops it."""

    def __init__(self, options: Options, loaded: Loaded, loop: asyncio.AbstractEventLoop) -> None:
        self.options = options
        self.loaded = loaded
        self.loop = loop
        self.state = PRE_INITIALIZING
        self.started = time.time()
        self.listeners: list[Listener] = []
        self.ctx = Context(loop, options=vars(options))
        self._stopping = asyncio.Event()

    def build(self) -> None:
        """Everything that the configuration says, in Envoy's order; all faults end up in `loaded.problems`."""
        view, problems = self.loaded.view, self.loaded.problems
        with problems.collect():
            self.ctx.node = build_node(view, self.options)
        with problems.collect():
            build_runtime(view, self.ctx.runtime)
        with problems.collect():
            self.ctx.connections.limit = global_connection_limit(view) or self.ctx.connections.limit
        for cluster in view.static_resources.clusters:
            with problems.collect():
                add_cluster(cluster, self.ctx)
        for listener in view.static_resources.listeners:
            with problems.collect():
                self.listeners.append(build_listener(listener, self.ctx))
        with problems.collect():
            read_rest(view)
            view.admin.take()
            view.stats_config.take()
            view.application_log_config.take()
        self.loaded.report_unread()

    async def start(self) -> None:
        """Opens what has to be open; raises OSError or ConfigError with one clear line."""
        self.state = INITIALIZING
        self.ctx.clusters.start()
        await self.ctx.clusters.warm()
        for listener in self.listeners:
            await listener.start()
        self.state = LIVE
        _log.info("all clusters and listeners are ready: starting to serve")

    async def run(self) -> None:
        """Serves until a signal or /quitquitquit."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._signalled, number)
        self.loop.add_signal_handler(signal.SIGUSR1, self.reopen_logs)
        with suppress(ValueError):
            self.loop.add_signal_handler(signal.SIGHUP, _log.info, "SIGHUP is ignored")
        await self._stopping.wait()

    async def stop(self) -> None:
        """Closes everything; logs that wait are written."""
        for listener in self.listeners:
            listener.close()
        self.ctx.clusters.close()

    def quit(self) -> None:
        self._stopping.set()

    def reopen_logs(self) -> None:
        """SIGUSR1 and /reopen_logs."""

    def _signalled(self, number: int) -> None:
        _log.warning("caught %s", signal.Signals(number).name)
        self.quit()

