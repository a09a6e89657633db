"""All tries of one stream, from the first that was not good enough until one is settled upon.

For that time it is `stream.upstream` in place of an attempt: it keeps the body, waits between tries, and knows what was
tried. Sources: Envoy's RetryStateImpl and Router::Filter.
"""

from asyncio import TimerHandle
from functools import partial
from typing import TYPE_CHECKING, Any

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Headers
from meshproxy.net.runtime import Fraction
from meshproxy.routing.retry_policy import BackOff, jitter_above
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.priorities import Pick
from meshproxy.upstream.priority_loads import PriorityLoads

if TYPE_CHECKING:
    from meshproxy.routing.judged_attempt import JudgedAttempt

_USE_RETRY = Fraction(100, 100, "upstream.use_retry")


class Tries:
    """left: how many more there may be. running: those that have not ended."""

    __slots__ = (
        "_armed", "_back_off", "_excluded", "_limited", "_pending", "_plan", "_priorities", "_timed_out", "_tried",
        "action", "body", "cluster", "left", "mirrors", "router", "running", "sent", "stream",
    )  # fmt: skip

    def __init__(self, first: "JudgedAttempt") -> None:
        self.stream = first.stream
        self.router = first.router
        self.cluster: Cluster = first.cluster
        self.action = first.action
        self.body, first.body = first.body, None
        self.mirrors, first.mirrors = first.mirrors, None
        self._plan = first.plan
        policy = first.plan.retry
        assert policy is not None
        self.left = policy.num_retries
        # Something of the request may have reached an upstream.
        self.sent = first.sent
        self.running = [first]
        self._tried: list[Endpoint] = [first.pool.endpoint] if first.pool is not None else []
        # Their priorities since all of them had been tried, and those that count as down.
        self._priorities = [endpoint.priority for endpoint in self._tried]
        self._excluded: set[int] = set()
        self._back_off = BackOff(policy, first.plan.runtime)
        self._pending: TimerHandle | None = None
        # There was a retry, which counts against the cluster's limit until what becomes of it is known.
        self._armed = False
        # Why the next try is made: the one before took too long; the upstream has said how long to wait.
        self._timed_out = self._limited = False
        first.tries = self
        self.stream.upstream = self

    # ---- deciding ----

    def decide(self, wanted: bool, seconds: float = 0.0, timed_out: bool = False) -> bool:
        """Whether there will be another try. wanted: the policy wants one. seconds: what the upstream asks to wait."""
        if self._armed and not wanted:
            self._count("upstream_rq_retry_success")
        self._release()
        if not wanted:
            return False
        if not self.left:
            self._count("upstream_rq_retry_limit_exceeded")
            self.stream.add_flag("URX")
            return False
        self.left -= 1
        limits = self.cluster.limits[self.action.priority]
        if not limits.take_retry():
            self._count("upstream_rq_retry_overflow")
            self.stream.add_flag("UO")
            return False
        if not self._plan.runtime.enabled(_USE_RETRY):
            limits.retries.give()
            return False
        self._armed = True
        self._timed_out = timed_out
        self._limited = seconds > 0
        seconds = jitter_above(seconds) if self._limited else self._back_off.next()
        self._pending = self.stream.manager.loop.call_later(seconds, self._again)
        return True

    @property
    def last_tried(self) -> Endpoint | None:
        return self._tried[-1] if self._tried else None

    def has_others(self, attempt: "JudgedAttempt") -> bool:
        """Whether there is hope beside this try."""
        return self._pending is not None or any(each is not attempt for each in self.running)

    def settle(self, attempt: "JudgedAttempt") -> None:
        """What comes of this try is for the client; the others are given up."""
        self._stop()
        for each in self.running:
            if each is not attempt:
                each.tries = None
                each.abort()
        stream = self.stream
        stream.upstream = attempt
        if self._plan.redirects is not None:
            attempt.body = self.body
        attempt.mirrors, self.mirrors = self.mirrors, None
        stream.endpoint = attempt.pool.endpoint if attempt.pool is not None else None
        if attempt.client is not None:
            stream.upstream_connection = attempt.client.connection
        attempt.tries = None

    def forget(self, attempt: "JudgedAttempt") -> None:
        """This one ended, and the stream goes on."""
        self.sent = self.sent or attempt.sent
        self.running.remove(attempt)
        attempt.tries = None

    def _count(self, name: str) -> None:
        for stats in (self.cluster.stats, *self.stream.extra_stats):
            setattr(stats, name, getattr(stats, name) + 1)

    def _release(self) -> None:
        if self._armed:
            self._armed = False
            self.cluster.limits[self.action.priority].retries.give()

    def _stop(self) -> None:
        self._release()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _drop_mirrors(self) -> None:
        if self.mirrors is not None:
            self.mirrors.cancel()

    # ---- the next one ----

    def _again(self) -> None:
        self._pending = None
        # As in Envoy, what is given up while it waits was never a retry.
        self._count("upstream_rq_retry")
        if self._limited:
            self.cluster.stats.upstream_rq_retry_backoff_ratelimited += 1
        else:
            self.cluster.stats.upstream_rq_retry_backoff_exponential += 1
        stream, action = self.stream, self.action
        stream.endpoint = stream.upstream_connection = None
        stream.upstream_failure = ""
        stream.pool_wait = None
        if action.attempt_count_in_request:
            stream.request.set("x-envoy-attempt-count", str(stream.attempts + 1))
        if self._plan.tell_timeout_retry:
            stream.request.set("x-envoy-is-timeout-retry", "true" if self._timed_out else "false")
        action.note_time_left(self.router, stream, self._plan)
        router = self.router
        # As it is now, where the configuration has changed meanwhile.
        cluster = action.clusters.by_name.get(self.cluster.name)
        kind = router.attended if self._plan.attended else router.judged
        attempt = kind(router, stream, cluster or self.cluster, action)
        attempt.plan = self._plan
        self.running.append(attempt)
        attempt.start_again(self, None if cluster is None else self._choose_endpoint(cluster))

    def _choose_endpoint(self, cluster: Cluster) -> Endpoint | None:
        """The next endpoint, by what the policy thinks of those that were tried."""
        policy = self._plan.retry
        assert policy is not None
        pick: Pick = cluster.balancer.pick
        if policy.priorities_after:
            pick = self._by_priority(cluster.balancer, policy.priorities_after) or pick
        endpoint = None
        for attempt in range(policy.host_attempts + 1):
            endpoint = pick(self.stream, attempt)
            if endpoint is None or not any(refuses(endpoint, self._tried) for refuses in policy.host_predicates):
                break
        if endpoint is not None:
            self._tried.append(endpoint)
            self._priorities.append(endpoint.priority)
        return endpoint

    def _by_priority(self, balancer: Any, often: int) -> Pick | None:
        """previous_priorities: after so many tries the priorities that were tried count as down, until all are."""
        loads: PriorityLoads | None = getattr(balancer, "loads", None)
        if loads is None or len(self._priorities) < often:
            return None
        if len(self._priorities) % often == 0:
            self._excluded |= set(self._priorities)
        left = loads.without(self._excluded)
        if left is None:
            self._excluded = set()
            self._priorities = []
            left = loads.without(())
        return partial(balancer.pick_by, left) if left is not None else None

    # ---- as `stream.upstream` ----

    def send_data(self, data: bytes, end: bool) -> None:
        if self.body is not None and not self.body.add(data, end):
            self._abandon()
            if not self.running:
                return
        if self.mirrors is not None:
            self.mirrors.send(data, end)
        for attempt in list(self.running):
            attempt.send_data(data, end)

    def send_trailers(self, trailers: Headers) -> None:
        if self.body is not None:
            self.body.trailers = trailers
            self.body.ended = True
        if self.mirrors is not None:
            self.mirrors.send_last(trailers)
        for attempt in list(self.running):
            attempt.send_trailers(trailers)

    def _abandon(self) -> None:
        """The body is too large to be kept: what runs now is the last try."""
        self.body = None
        if self.running:
            attempt = self.running[0]
            self.settle(attempt)
            attempt.abandon()
            return
        self.cluster.stats.retry_or_shadow_abandoned += 1
        self._stop()
        self._drop_mirrors()
        self.stream.upstream = None
        words = b"exceeded request buffer limit while retrying upstream"
        reply = LocalReply(507, words, "request_payload_exceeded_retry_buffer_limit")
        self.action.answer(self.stream, reply)

    def flush(self) -> None:
        for attempt in self.running:
            attempt.flush()
        if self.mirrors is not None:
            self.mirrors.push()

    def abort(self) -> None:
        """The stream needs the answer no more."""
        self._stop()
        self._drop_mirrors()
        for attempt in self.running:
            attempt.tries = None
            attempt.abort()

    def pause_reading(self) -> None:
        """There is no answer yet that could be read too fast."""

    def resume_reading(self) -> None:
        """See `pause_reading`."""

    def on_timeout(self, reply: LocalReply) -> None:
        """The time for all of them is over."""
        for attempt in self.running:
            self.stream.endpoint = attempt.pool.endpoint if attempt.pool is not None else None
            attempt.note_timeout(reply.status)
        self.action.answer(self.stream, reply)
