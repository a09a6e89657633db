"""What the admin pages need to know of the process that they describe, and what they may tell it to do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from meshproxy.config.context import Context
from meshproxy.downstream.listener import Listener
from meshproxy.observe.failures import Failure
from meshproxy.observe.peers import Peer
from meshproxy.observe.process_log import ProcessLog
from meshproxy.observe.snapshot import Part

# What workers know: stats, the counts of the endpoints, recent failures, peers, all of these, or what is in flight.
Shown = Literal["stats", "endpoints", "failures", "peers", "all", "drain"]


class ListenerStatus(NamedTuple):
    """What a listener still has. `accepts`: it takes new connections; `draining`: clients are asked to go."""

    name: str
    accepts: bool
    draining: bool
    connections: int
    requests: int


@dataclass(frozen=True, slots=True)
class DrainStatus:
    """exits: the process ends with the drain. seconds_left: until then, or until sockets close; None: not set."""

    exits: bool
    seconds_left: float | None
    listeners: list[ListenerStatus]

    @property
    def state(self) -> str:
        """serving; draining; drained where nothing is left and nothing comes."""
        if not any(each.draining for each in self.listeners):
            return "serving"
        left = any(each.accepts or each.connections for each in self.listeners)
        return "draining" if left else "drained"

    @property
    def connections(self) -> int:
        return sum(each.connections for each in self.listeners)

    @property
    def requests(self) -> int:
        return sum(each.requests for each in self.listeners)


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
        """Asks the workers, so that `stat_parts()`, the endpoints of `ctx.clusters`, `failures()` or `peers()` are
        up to date."""

    def stat_parts(self) -> Iterator[Part]:
        """The stats of the whole proxy, group by group: of this process, or of all workers, to be added up."""

    def failures(self) -> list[Failure]:
        """Recent failures of the whole proxy, newest last."""

    def peers(self) -> list[Peer]:
        """Who talked to the whole proxy, and to whom it talked, by name."""

    def reset_counters(self) -> None: ...
    def reopen_logs(self) -> None: ...
    def quit(self) -> None: ...

    def fail_health_checks(self, fail: bool) -> None:
        """/healthcheck/fail and /healthcheck/ok."""

    def drain_listeners(self, graceful: bool, skip_exit: bool, inbound_only: bool) -> None: ...

    def drain_status(self) -> DrainStatus:
        """As of the last `refresh("drain")`."""
