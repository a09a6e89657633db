"""One try whose end is looked at before it is passed on: it may be made again."""

from typing import TYPE_CHECKING

from meshproxy.http.failures import CONNECTION_TERMINATED, LOCAL_RESET, Failure
from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Headers, ResponseHeaders
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.routing.attempt import Attempt
from meshproxy.routing.kept_body import KeptBody
from meshproxy.routing.mirror import Mirrors, copies_of
from meshproxy.routing.plan import Plan
from meshproxy.routing.tries import Tries
from meshproxy.upstream.http1_client import Http1Client
from meshproxy.upstream.sides import UpstreamStream

if TYPE_CHECKING:
    from typing import Any


class JudgedAttempt(Attempt):
    """For routes and requests with a plan, which has to be set before `start`.

    Until something has to be tried again it is alone and costs little more than an Attempt. From then on the stream has
    Tries, and this is one of them.
    """

    plan: Plan
    # All tries of the stream, once there was a reason to make another one.
    tries: Tries | None = None
    # No other try will be made because of this one: it has a successor, or an answer has begun.
    settled = False
    # The body, where it may be needed again; of the first try only: then the tries have it.
    body: KeptBody | None = None
    # The end of the request was passed on to this try.
    whole = False
    # The body could not be kept.
    too_large = False
    # Copies that get the body too; once there are tries, these have them.
    mirrors: Mirrors | None = None
    # Where it waits to expire.
    _clocks: "tuple[TimeoutQueue[Any], ...]" = ()
    # When something last came of it, by the loop's clock.
    _active_at = 0.0

    def start(self, end: bool) -> None:
        self.whole = end
        if not end and (self.plan.retry is not None or self.plan.redirects is not None):
            limit = self.plan.buffer_limit
            self.body = KeptBody(self.stream.manager.buffer_limit if limit is None else limit)
        if not self.plan.mirrors:
            super().start(end)
            return
        # As it is now: where it goes may change its host.
        mirrors = copies_of(self.stream, self.plan.mirrors)
        super().start(end)
        if self.pool is not None:
            mirrors.begin(self.router, self.action, self.stream, end)
            if not end and not self._over:
                self.mirrors = mirrors

    def start_again(self, tries: Tries) -> None:
        """As one of several."""
        self.tries = tries
        body = tries.body
        self.whole = self.headers_end = end = body is None or body.empty
        self._start_on(tries.choose_endpoint(self.cluster))
        if end or self._over or body is None:
            return
        last = len(body.chunks) - 1
        for i, chunk in enumerate(body.chunks):
            self.send_data(chunk, i == last and body.ended and body.trailers is None)
        if body.trailers is not None:
            self.send_trailers(body.trailers)
        self.flush()

    # ---- towards the upstream ----

    def _send(self, client: UpstreamStream) -> None:
        super()._send(client)
        if self.whole and not self._over:
            self._start_clocks()

    def send_data(self, data: bytes, end: bool) -> None:
        if self.body is not None and not self.body.add(data, end):
            self.abandon()
        if self.mirrors is not None:
            self.mirrors.send(data, end)
        super().send_data(data, end)
        if end:
            self._note_whole()

    def send_trailers(self, trailers: Headers) -> None:
        if self.body is not None:
            self.body.trailers = trailers
            self.body.ended = True
        if self.mirrors is not None:
            self.mirrors.send_last(trailers)
        super().send_trailers(trailers)
        self._note_whole()

    def _send_held(self) -> None:
        # What is held was kept, and copied, when it came.
        body, self.body = self.body, None
        mirrors, self.mirrors = self.mirrors, None
        super()._send_held()
        self.body, self.mirrors = body, mirrors

    def flush(self) -> None:
        super().flush()
        if self.mirrors is not None:
            self.mirrors.push()

    def abandon(self) -> None:
        """The body is too large to be kept: there will be no other try."""
        self.cluster.stats.retry_or_shadow_abandoned += 1
        self.settled = self.too_large = True
        self.body = None

    def _refuse(self, reply: LocalReply) -> None:
        if self.tries is not None:
            self._over = True
            self.tries.settle(self)
        super()._refuse(reply)

    def _end(self) -> None:
        super()._end()
        if self._clocks:
            self._stop_clocks()
        if self.mirrors is not None:
            self.mirrors.cancel()

    # ---- from the upstream ----

    def on_informational(self, headers: ResponseHeaders) -> None:
        # The client may have heard it: what follows has to come from the same upstream.
        if self.tries is not None:
            self.tries.settle(self)
        self.settled = True
        super().on_informational(headers)

    def on_response(self, headers: ResponseHeaders, body: bytes) -> None:
        if not self._tried_again(headers) and not self._redirected(headers):
            super().on_response(headers, body)
        elif body and self.client is not None and self.client.attempt is None:
            # Envoy gives it up when the head has come: the connection does not serve again.
            self.client.abandon()

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        if self._clocks:
            self._active_at = self.stream.manager.loop.time()
        if not self._tried_again(headers) and not self._redirected(headers):
            super().on_headers(headers, end)

    def on_data(self, data: bytes, end: bool) -> None:
        if self._clocks:
            self._active_at = self.stream.manager.loop.time()
        super().on_data(data, end)

    def _tried_again(self, headers: ResponseHeaders) -> bool:
        """Whether the answer goes no further, because there is, or will be, another try."""
        retry = self.plan.retry
        tries = self.tries
        could_not = False
        if retry is not None:
            wanted = retry.wants(headers)
            if self.settled:
                could_not = wanted
            elif wanted or tries is not None:
                tries = tries or Tries(self)
                if tries.decide(wanted, retry.asked_to_wait(headers) if wanted else 0.0):
                    self._drop_answer(headers.status)
                    return True
                could_not = wanted
        if tries is not None:
            if could_not and tries.has_others(self):
                self._drop_answer(None)
                return True
            tries.settle(self)
        self.settled = True
        return False

    def _redirected(self, headers: ResponseHeaders) -> bool:
        """Whether the answer is followed instead of passed on."""
        redirects = self.plan.redirects
        if redirects is None or headers.status not in redirects.codes:
            return False
        stream, stats, body = self.stream, self.cluster.stats, self.body
        method = stream.request.method
        if not self.whole or self.too_large or not redirects.redirect(stream, headers):
            stats.upstream_internal_redirect_failed_total += 1
            return False
        stats.upstream_internal_redirect_succeeded_total += 1
        self._leave()
        stream.upstream = None
        chunks = body.chunks if body is not None and stream.request.method == method else ()
        client = self.client
        # As in Envoy, the connection is not free before what it brought is dealt with.
        withheld = client if isinstance(client, Http1Client) and client.pool.withhold(client) else None
        stream.manager.recreate(stream, headers, chunks)
        if withheld is not None:
            withheld.pool.release(withheld)
        return True

    def _drop_answer(self, status: int | None) -> None:
        """status: counted as that of an answer for which there is another try."""
        if self.tries is not None:
            self.tries.forget(self)
        if self.pool is not None:
            self.pool.endpoint.stats.rq_error += 1
        if status is not None and self.router.dynamic_stats:
            self.cluster.stats.responses_of("retry.").charge(status)
        self._leave()

    def _leave(self) -> None:
        """The stream goes on without this try."""
        self.abort()
        self._over = True
        if self._paused:
            self.on_write_resumed()

    def on_reset(self, failure: Failure, reason: str) -> None:
        retry = self.plan.retry
        tries = self.tries
        if self.stream.response is not None or retry is None:
            super().on_reset(failure, reason)
            return
        wanted = not self.settled and retry.wants_after(failure, self.sent or (tries is not None and tries.sent))
        left = retry.num_retries if tries is None else tries.left
        if failure is CONNECTION_TERMINATED and not (wanted and left) and self._repeat():
            return
        if tries is None and not wanted:
            super().on_reset(failure, reason)
            return
        tries = tries or Tries(self)
        again = not self.settled and tries.decide(wanted)
        if again or tries.has_others(self):
            self._fail_quietly(reason, again)
            return
        tries.settle(self)
        super().on_reset(failure, reason)

    @property
    def sent(self) -> bool:
        return self.client is not None

    def _fail_quietly(self, reason: str, again: bool) -> None:
        """It failed, and the stream still hopes for another try."""
        stream = self.stream
        if self.client is None:
            self._note_wait()
        stream.upstream_failure = reason
        assert self.tries is not None
        self.tries.forget(self)
        if not again:
            self._charge_failure(503)
        elif self.pool is not None:
            self.pool.endpoint.stats.rq_error += 1
        self._end()
        self._over = True
        if self._paused:
            self.on_write_resumed()

    # ---- times of its own ----

    def _note_whole(self) -> None:
        self.whole = True
        if self.client is not None and not self._over and not self._clocks:
            self._start_clocks()

    def _start_clocks(self) -> None:
        plan, deadlines = self.plan, self.action.deadlines
        if plan.per_try_timeout:
            self._clocks = (deadlines.queue(plan.per_try_timeout, _try_timed_out),)
        if plan.per_try_idle_timeout:
            self._active_at = self.stream.manager.loop.time()
            self._clocks = (*self._clocks, deadlines.queue(plan.per_try_idle_timeout, _try_idle))
        for queue in self._clocks:
            queue.add(self)

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
        stream, tries = self.stream, self.tries
        self.pool.endpoint.stats.rq_timeout += 1
        retry = None if self.settled or stream.response is not None else self.plan.retry
        if retry is not None and (retry.wants_after(LOCAL_RESET, True) or tries is not None):
            tries = tries or Tries(self)
            if tries.decide(retry.wants_after(LOCAL_RESET, True), timed_out=True):
                tries.forget(self)
                self.pool.endpoint.stats.rq_error += 1
                self._leave()
                return
        reply = timeout_reply(stream, details)
        if stream.response is None:
            self._charge_failure(reply.status)
        self.action.answer(stream, reply)

    def _hedge(self) -> None:
        """Another try is made beside this one, whatever the policy says of failures, while there are retries left."""
        if self.plan.retry is None:
            return
        tries = self.tries or Tries(self)
        if tries.decide(True, timed_out=True):
            self.settled = True


def timeout_reply(stream: "Any", details: str) -> LocalReply:
    """What the client gets when the upstream is too slow."""
    asked = stream.asked
    if asked is not None and asked.timeout_as_no_content:
        return LocalReply(204, b"", details, flag="UT")
    return LocalReply(504, b"upstream request timeout", details, flag="UT")


def _try_timed_out(attempt: JudgedAttempt) -> float:
    attempt.expire()
    return 0


def _try_idle(attempt: JudgedAttempt) -> float:
    return attempt.expire_idle()
