"""What the admin pages need to know of the process that they describe, and what they may tell it to do."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from meshproxy.config.context import Context
from meshproxy.downstream.listener import Listener
from meshproxy.observe.process_log import ProcessLog
from meshproxy.observe.snapshot import Snapshot

# What workers count: stats, or the counts of the endpoints.
Shown = Literal["stats", "endpoints"]


class Server(Protocol):
    """The process, as it is now. `process/` implements it."""

    # `<revision>/<version>/<status>/<build>/<TLS library>`, as Envoy writes it.
    version: str
    # Wall clock, seconds.
    started: float
    ctx: Context
    # The command line, by name (process.options.Options).
    options: Any

    @property
    def state(self) -> str:
        """LIVE, DRAINING, PRE_INITIALIZING or INITIALIZING."""

    @property
    def process_log(self) -> ProcessLog: ...

    @property
    def listeners(self) -> Sequence[Listener]: ...

    @property
    def bootstrap(self) -> Any:
        """The envoy.config.bootstrap.v3.Bootstrap that was loaded."""

    async def refresh(self, shown: Shown) -> None:
        """Asks the workers, so that `snapshot()` or the endpoints of `ctx.clusters` are up to date."""

    def snapshot(self) -> Snapshot:
        """The stats of the whole proxy: of this process, or of all workers together."""

    def reset_counters(self) -> None: ...
    def reopen_logs(self) -> None: ...
    def quit(self) -> None: ...

    def fail_health_checks(self, fail: bool) -> None:
        """/healthcheck/fail and /healthcheck/ok."""

    def drain_listeners(self, graceful: bool, skip_exit: bool, inbound_only: bool) -> None: ...
