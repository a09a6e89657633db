"""The admin interface: a listener of its own, whose chain ends in the pages (envoy.config.bootstrap.v3.Admin)."""

import asyncio
import importlib
import logging
from collections.abc import Callable
from pathlib import Path

from meshproxy.admin.server_view import Server
from meshproxy.admin.terminal import AdminTerminal
from meshproxy.downstream.chain_match import ChainMatcher
from meshproxy.downstream.drain import always
from meshproxy.downstream.filter_chain import FilterChain
from meshproxy.downstream.http_manager import HttpManager
from meshproxy.downstream.http_stats import AdminHttpStats, ListenerHttpStats
from meshproxy.downstream.http_timeouts import HttpTimeouts
from meshproxy.downstream.listener import Listener
from meshproxy.downstream.listener_stats import AdminListenerStats
from meshproxy.downstream.terminals import HttpTerminal
from meshproxy.http.h1_head import Http1Options
from meshproxy.http.request_steps import check_path, clean_path, use_remote_address
from meshproxy.net.connection import address_text, socket_address
from meshproxy.net.local_address import local_address
from meshproxy.net.sockets import ListenAddress, SocketOption
from meshproxy.observe.operators import Exchange
from meshproxy.routing.table import RouteTable

_log = logging.getLogger("admin")

# Nothing an operator asks for is cut short, and what is answered is closed at once.
_TIMEOUTS = HttpTimeouts(idle=0, drain=0.1, delayed_close=0, stream_idle=0)

# Files of this room that register pages.
_PAGE_FILES = (
    "certs", "clusters", "config_dump", "control", "drain_status", "failures", "help", "home", "listeners", "loggers",
    "memory", "peers", "ready", "recent_lookups", "runtime", "server_info", "stats", "unsupported",
)  # fmt: skip


class Admin:
    """Listens where it was told to, and nowhere else."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, server: Server, address: ListenAddress,
        allowed: Callable[[str], bool] = lambda _path: True,
    ) -> None:  # fmt: skip
        """allowed: whether a path, with its query, may be asked for (allow_paths)."""
        manager = HttpManager(loop, "admin", RouteTable("admin", {}), timeouts=_TIMEOUTS)
        manager.terminal = AdminTerminal(server, allowed)
        manager.http1 = Http1Options(allow_absolute_url=False)
        manager.request_steps = (
            check_path(manager.stats),
            clean_path(manager.stats, "KEEP_UNCHANGED", normalise=True, merge=True),
            use_remote_address(0, append=True, forward_port=False, local_address=local_address(4), mapped=False,
                               may_trust=False),
        )  # fmt: skip
        self._manager = manager
        listener = Listener(loop, "admin", [address])
        listener.ignores_all_connections = True
        listener.chains = ChainMatcher([], FilterChain(loop, "", [], HttpTerminal(manager), manager.buffer_limit))
        self._listener = listener
        stats = server.ctx.stats
        stats.add("http.admin", AdminHttpStats(manager.stats))
        stats.add("listener.admin", AdminListenerStats(listener.stats))
        stats.add("listener.admin.main_thread", listener.worker_stats)
        stats.add("listener.admin.http.admin", ListenerHttpStats(manager.stats))

    def set_log(self, log: Callable[[Exchange], None] | None) -> None:
        self._manager.log = log

    def set_socket_options(self, options: list[SocketOption]) -> None:
        self._listener.socket_options.options = options

    @property
    def local(self) -> tuple[str, int]:
        """Where it listens, with the port that the system chose where none was asked for."""
        return socket_address(self._listener.sockets[0].getsockname())

    async def start(self) -> None:
        """Raises BindError where the address cannot be had."""
        for name in _PAGE_FILES:
            importlib.import_module(f"meshproxy.admin.{name}")
        self._listener.bind()
        await self._listener.start()
        _log.info("admin address: %s", address_text(self.local))

    def write_address(self, path: str) -> None:
        """--admin-address-path: for those who start us with port 0."""
        Path(path).write_text(address_text(self.local), encoding="utf-8")

    def close(self) -> None:
        self._listener.close()
        self._manager.drain_close = always
