"""One try that has times of its own, or whose request is mirrored as well."""

from typing import Any

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Headers, ResponseHeaders
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.routing.attempt import Attempt
from meshproxy.routing.judged_attempt import JudgedAttempt, timeout_reply
from meshproxy.routing.mirror import copies_of
from meshproxy.routing.tries import Tries
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.sides import UpstreamStream


class AttendedAttempt(JudgedAttempt):
    """For plans with per_try_timeout, per_try_idle_timeout or mirrors.

    What every request passes calls classes by name: `super()` costs.
    """

    __slots__ = ("_active_at", "_clocks", "whole")

    def start(self, end: bool) -> None:
        self._prepare(end)
        if not self.plan.mirrors:
            JudgedAttempt.start(self, end)
            return
        # As it is now: where it goes may change its host.
        mirrors = copies_of(self.stream, self.plan.mirrors)
        super().start(end)
        tries = self.stream.upstream
        if self.pool is None or (self._over and not isinstance(tries, Tries)):
            # It has failed already, and there is nothing to follow.
            return
        mirrors.begin(self.router, self.action, self.stream, end)
        if end:
            return
        # The rest of the request is theirs too.
        if isinstance(tries, Tries):
            tries.mirrors = mirrors
        else:
            self.mirrors = mirrors

    def start_again(self, tries: Tries, endpoint: Endpoint | None) -> None:
        self._prepare(tries.body is None or tries.body.empty)
        super().start_again(tries, endpoint)

    def _prepare(self, end: bool) -> None:
        # The end of the request was passed on to this try.
        self.whole = end
        # Where it waits to expire.
        self._clocks: tuple[TimeoutQueue[Any], ...] = ()
        # When something last came of it, by the loop's clock.
        self._active_at = 0.0

    # ---- towards the upstream ----

    def _send(self, client: UpstreamStream) -> None:
        Attempt._send(self, client)
        if self.whole and not self._over:
            self._start_clocks()

    def send_data(self, data: bytes, end: bool) -> None:
        if self.mirrors is not None:
            self.mirrors.send(data, end)
        super().send_data(data, end)
        if end:
            self._note_whole()

    def send_trailers(self, trailers: Headers) -> None:
        if self.mirrors is not None:
            self.mirrors.send_last(trailers)
        super().send_trailers(trailers)
        self._note_whole()

    def _send_held(self) -> None:
        # What is held was copied when it came.
        mirrors, self.mirrors = self.mirrors, None
        super()._send_held()
        self.mirrors = mirrors

    def flush(self) -> None:
        super().flush()
        if self.mirrors is not None:
            self.mirrors.push()

    def _refuse(self, reply: LocalReply) -> None:
        super()._refuse(reply)
        if self.mirrors is not None:
            self.mirrors.cancel()

    def _end(self) -> None:
        Attempt._end(self)
        if self._clocks:
            self._stop_clocks()
        if self.mirrors is not None:
            self.mirrors.cancel()

    # ---- from the upstream ----

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        if self._clocks:
            self._active_at = self.stream.manager.loop.time()
        super().on_headers(headers, end)

    def on_data(self, data: bytes, end: bool) -> None:
        if self._clocks:
            self._active_at = self.stream.manager.loop.time()
        super().on_data(data, end)

    # ---- times of its own ----

    def _note_whole(self) -> None:
        self.whole = True
        if self.client is not None and not self._over and not self._clocks:
            self._start_clocks()

    def _start_clocks(self) -> None:
        plan = self.plan
        clocks = plan.clocks
        if clocks is None:
            clocks = plan.clocks = self._find_clocks()
        self._clocks = clocks
        if plan.per_try_idle_timeout:
            self._active_at = self.stream.manager.loop.time()
        for queue in clocks:
            if queue.seconds:
                queue.add(self)
            else:
                queue.add_for(self, plan.per_try_timeout)

    def _find_clocks(self) -> tuple[TimeoutQueue[Any], ...]:
        plan, deadlines = self.plan, self.action.deadlines
        clocks: list[TimeoutQueue[Any]] = []
        if plan.per_try_timeout:
            # What callers ask for may be any time: there is no queue for each.
            clocks.append(deadlines.queue(0.0 if plan.per_try_asked else plan.per_try_timeout, _try_timed_out))
        if plan.per_try_idle_timeout:
            clocks.append(deadlines.queue(plan.per_try_idle_timeout, _try_idle))
        return tuple(clocks)

    def _stop_clocks(self) -> None:
        for queue in self._clocks:
            queue.discard(self)
        self._clocks = ()

    def expire(self) -> None:
        """per_try_timeout is over; once there is an answer it counts no more."""
        if self.stream.response is not None or self._heard:
            return
        if self.plan.hedge:
            self._hedge()
            return
        self.cluster.stats.upstream_rq_per_try_timeout += 1
        self._time_out("upstream_per_try_timeout")

    def expire_idle(self) -> float:
        """per_try_idle_timeout may be over. The seconds until it is; 0 where it was."""
        left = self._active_at + self.plan.per_try_idle_timeout - self.stream.manager.loop.time()
        if left > 0.001:
            return left
        if self.plan.hedge:
            self._hedge()
            return 0
        self.cluster.stats.upstream_rq_per_try_idle_timeout += 1
        self._time_out("upstream_per_try_idle_timeout")
        return 0

    def _time_out(self, details: str) -> None:
        """This try takes too long."""
        assert self.pool is not None
        stream = self.stream
        self.pool.endpoint.stats.rq_timeout += 1
        self._tell_timeout()
        if self.cut_short(timed_out=True):
            return
        reply = timeout_reply(stream, details)
        if stream.response is None:
            self._charge_failure(reply.status)
        self.action.answer(stream, reply)

    def _tell_timeout(self) -> None:
        if self.pool is not None and (monitor := self.pool.endpoint.monitor) is not None:
            monitor.on_timeout(timeout_reply(self.stream, "").status)
            # Once is enough, should all of the stream's time be over later.
            self.timeout_told = True

    def _hedge(self) -> None:
        """Another try is made beside this one, whatever the policy says of failures, while there are retries left."""
        self._tell_timeout()
        if self.plan.retry is None or self.settled or self.stream.response is not None:
            return
        tries = self.tries or Tries(self)
        if tries.decide(True, timed_out=True):
            self.settled = True


def _try_timed_out(attempt: AttendedAttempt) -> float:
    attempt.expire()
    return 0


def _try_idle(attempt: AttendedAttempt) -> float:
    return attempt.expire_idle()
