"""One try whose end is looked at before it is passed on: it may be made again."""

from typing import TYPE_CHECKING, Any

from meshproxy.http.failures import CONNECTION_TERMINATED, LOCAL_RESET, OVERFLOW, Failure
from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Headers, ResponseHeaders
from meshproxy.routing.attempt import Attempt
from meshproxy.routing.kept_body import KeptBody
from meshproxy.routing.plan import Plan
from meshproxy.routing.tries import Tries
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.http1_client import Http1Client

if TYPE_CHECKING:
    from meshproxy.routing.mirror import Mirrors


class JudgedAttempt(Attempt):
    """For routes and requests with a plan, which has to be set before `start`.

    Until something has to be tried again it is alone and costs little more than an Attempt. From then on the stream has
    Tries, and this is one of them.
    """

    __slots__ = ("plan",)

    plan: Plan
    # All tries of the stream, once there was a reason to make another one.
    tries: Tries | None = None
    # No other try will be made because of this one: it has a successor, or an answer has begun.
    settled = False
    # The body, where it may be needed again; of the first try only: then the tries have it.
    body: KeptBody | None = None
    # The body could not be kept.
    too_large = False
    # Copies of the request for which the body is wanted; once there are tries, these have them.
    mirrors: "Mirrors | None" = None

    def start(self, end: bool) -> None:
        if not end:
            self._keep_body()
        Attempt.start(self, end)

    def _keep_body(self) -> None:
        plan = self.plan
        if plan.retry is not None or plan.redirects is not None:
            limit = plan.buffer_limit
            self.body = KeptBody(self.stream.manager.buffer_limit if limit is None else limit)

    def start_again(self, tries: Tries, endpoint: Endpoint | None) -> None:
        """As one of several."""
        self.tries = tries
        body = tries.body
        self.headers_end = end = body is None or body.empty
        self._start_on(endpoint)
        if end or self._over or body is None:
            return
        last = len(body.chunks) - 1
        for i, chunk in enumerate(body.chunks):
            self.send_data(chunk, i == last and body.ended and body.trailers is None)
        if body.trailers is not None:
            self.send_trailers(body.trailers)
        self.flush()

    # ---- towards the upstream ----

    def send_data(self, data: bytes, end: bool) -> None:
        if self.body is not None and not self.body.add(data, end):
            self.abandon()
        super().send_data(data, end)

    def send_trailers(self, trailers: Headers) -> None:
        if self.body is not None:
            self.body.trailers = trailers
            self.body.ended = True
        super().send_trailers(trailers)

    def _send_held(self) -> None:
        # What is held was kept when it came.
        body, self.body = self.body, None
        super()._send_held()
        self.body = body

    def abandon(self) -> None:
        """The body is too large to be kept: there will be no other try."""
        self.cluster.stats.retry_or_shadow_abandoned += 1
        self.settled = self.too_large = True
        self.body = None

    def _refuse(self, reply: LocalReply) -> None:
        tries, stream = self.tries, self.stream
        if tries is None:
            super()._refuse(reply)
            return
        self._over = True
        tries.settle(self)
        stream.upstream = None
        self._charge_failure(reply.status)
        # As in Envoy, logs tell the host that was tried last.
        stream.endpoint = tries.last_tried
        self.action.answer(stream, reply)

    # ---- from the upstream ----

    def on_informational(self, headers: ResponseHeaders) -> None:
        # The client may have heard it: what follows has to come from the same upstream.
        if self.tries is not None:
            self.tries.settle(self)
        self.settled = True
        super().on_informational(headers)

    def on_response(self, headers: ResponseHeaders, body: bytes) -> None:
        plan = self.plan
        if (
            self.tries is None and plan.redirects is None and (plan.retry is None or not plan.retry.wants(headers))
        ) or not self._goes_no_further(headers):
            # Most are good at once. The class by its name, for `super()` costs.
            Attempt.on_response(self, headers, body)
        elif body and self.client is not None and self.client.attempt is None:
            # Envoy gives it up when the head has come: the connection does not serve again.
            self.client.abandon()

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        if not self._goes_no_further(headers):
            super().on_headers(headers, end)

    def _goes_no_further(self, headers: ResponseHeaders) -> bool:
        return self._tried_again(headers) or self._redirected(headers)

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
                    if self.router.dynamic_stats:
                        self.cluster.stats.responses_of("retry.").charge(headers.status)
                    self._drop_answer(headers)
                    return True
                could_not = wanted
        if tries is not None:
            if could_not and tries.has_others(self):
                self._drop_answer(headers)
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
        whole = stream.request_complete and stream.request_hold is None
        if not whole or self.too_large or not redirects.redirect(stream, headers):
            stats.upstream_internal_redirect_failed_total += 1
            return False
        stats.upstream_internal_redirect_succeeded_total += 1
        self._tell_monitor(headers)
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

    def _drop_answer(self, headers: ResponseHeaders) -> None:
        assert self.tries is not None and self.pool is not None
        self.tries.forget(self)
        self.pool.endpoint.stats.rq_error += 1
        self._tell_monitor(headers)
        self._leave()

    def _tell_monitor(self, headers: ResponseHeaders) -> None:
        if self.pool is not None and (monitor := self.pool.endpoint.monitor) is not None:
            monitor.on_headers(self.stream.request, headers)

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
            self._fail_quietly(failure, reason, again)
            return
        tries.settle(self)
        super().on_reset(failure, reason)

    def on_duration_reached(self, reply: LocalReply) -> None:
        if not self.cut_short():
            super().on_duration_reached(reply)

    def cut_short(self, timed_out: bool = False) -> bool:
        """We give this try up, as one that takes too long; whether there will be another one."""
        tries = self.tries
        retry = None if self.settled or self.stream.response is not None else self.plan.retry
        if retry is None:
            return False
        wanted = retry.wants_after(LOCAL_RESET, True)
        if not wanted and tries is None:
            return False
        tries = tries or Tries(self)
        if not tries.decide(wanted, timed_out=timed_out):
            return False
        assert self.pool is not None
        tries.forget(self)
        self.pool.endpoint.stats.rq_error += 1
        self._leave()
        return True

    @property
    def sent(self) -> bool:
        return self.client is not None

    def _fail_quietly(self, failure: Failure, reason: str, again: bool) -> None:
        """It failed, and the stream still hopes for another try."""
        stream = self.stream
        if self.client is None:
            self._note_wait()
        stream.upstream_failure = reason
        assert self.tries is not None
        self.tries.forget(self)
        if self.pool is not None and failure is not OVERFLOW and (monitor := self.pool.endpoint.monitor) is not None:
            monitor.on_failure()
        if not again and self.pool is not None:
            # The one that runs beside it keeps its endpoint.
            other, stream.endpoint = stream.endpoint, self.pool.endpoint
            self._charge_failure(failure.status)
            stream.endpoint = other
        elif self.pool is not None:
            self.pool.endpoint.stats.rq_error += 1
        self._end()
        self._over = True
        if self._paused:
            self.on_write_resumed()

def timeout_reply(stream: Any, details: str) -> LocalReply:
    """What the client gets when the upstream is too slow."""
    asked = stream.asked
    if asked is not None and asked.timeout_as_no_content:
        return LocalReply(204, b"", details, flag="UT")
    return LocalReply(504, b"upstream request timeout", details, flag="UT")
