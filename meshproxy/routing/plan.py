"""What a route wants of its tries beside the plain one: retries, hedging, times per try, internal redirects."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshproxy.net.runtime import Runtime
from meshproxy.routing.internal_redirects import InternalRedirects
from meshproxy.routing.retry_policy import RetryPolicy

if TYPE_CHECKING:
    from meshproxy.net.timeouts import TimeoutQueue
    from meshproxy.routing.asked import Asked
    from meshproxy.routing.mirror import MirrorPolicy


@dataclass(slots=True)
class Plan:
    """Seconds; 0 for none. retry: None, or one with conditions.

    per_try_timeout: counts from when the whole request is on its way; with `hedge` the try goes on beside the next one.
    buffer_limit: bytes of a body that may be kept; None: as the manager buffers.
    """

    runtime: Runtime = field(default_factory=Runtime)
    retry: RetryPolicy | None = None
    per_try_timeout: float = 0.0
    per_try_idle_timeout: float = 0.0
    hedge: bool = False
    buffer_limit: int | None = None
    # The older way to say it, which a buffer_limit of any level goes before.
    old_buffer_limit: int | None = None
    redirects: InternalRedirects | None = None
    mirrors: "tuple[MirrorPolicy, ...]" = ()
    # The request has asked for the per_try_timeout.
    per_try_asked: bool = False
    # Tries have times of their own, or company.
    attended: bool = False
    # The queues of the two times, once a try had need of them.
    clocks: "tuple[TimeoutQueue[Any], ...] | None" = None
    # x-envoy-is-timeout-retry tells upstreams why they are asked again.
    tell_timeout_retry: bool = False

    @property
    def plain(self) -> bool:
        """Whether there is nothing in it."""
        return (
            self.retry is None
            and self.redirects is None
            and not self.mirrors
            and not self.per_try_timeout
            and not self.per_try_idle_timeout
        )

    def with_asked(self, asked: "Asked", timeout: float) -> "Plan":
        """What it comes to for one request, whose own headers ask for something else. timeout: of all its tries."""
        retry, words = self.retry, asked.retry
        if words:
            retry = (retry or RetryPolicy()).with_asked(words)
        per_try = self.per_try_timeout if asked.per_try_timeout is None else asked.per_try_timeout
        hedge = {"true": True, "false": False}.get(words.get("x-envoy-hedge-on-per-try-timeout", ""), self.hedge)
        found = replace(self, retry=retry, per_try_timeout=per_try, hedge=hedge, clocks=None)
        found.per_try_asked = asked.per_try_timeout is not None
        return found.effective(timeout)

    def effective(self, timeout: float) -> "Plan":
        """Without what has no effect: a time per try no shorter than that of all, a policy without conditions.

        timeout: of all tries.
        """
        per_try = self.per_try_timeout if not timeout or self.per_try_timeout < timeout else 0.0
        retry = self.retry if self.retry is not None and self.retry.conditions else None
        limit = self.old_buffer_limit if self.buffer_limit is None else self.buffer_limit
        attended = bool(per_try or self.per_try_idle_timeout or self.mirrors)
        return replace(self, retry=retry, per_try_timeout=per_try, buffer_limit=limit, attended=attended)
