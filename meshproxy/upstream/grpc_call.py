"""One gRPC call of our own: what waits in a pool of a cluster, and what its stream there talks to.

It is counted as any request to the cluster is, as one from inside (x-envoy-internal). How things end is Envoy's
(Grpc::AsyncStreamImpl): a status of HTTP that is not 200 stands for one of gRPC, a reset is INTERNAL, and an answer
without a status UNKNOWN.
"""

from typing import TYPE_CHECKING, Any

from meshproxy.http.failures import OVERFLOW, Failure, grpc_status_of, upstream_failure
from meshproxy.http.grpc import decode_message
from meshproxy.http.grpc_messages import MessageReader, MessageTooLong, frame_message
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.upstream.sides import UpstreamPool, UpstreamStream
from meshproxy.upstream.stats import INTERNAL

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.endpoint import Endpoint

OK = 0
UNKNOWN = 2
RESOURCE_EXHAUSTED = 8
INTERNAL_ERROR = 13
UNAVAILABLE = 14


class GrpcCall:
    """`on_message` and `on_end` are for subclasses. Nothing happens any more once `on_end` was told or it is cancelled.

    With a cluster that is None, the call ends at once.
    """

    # What connections that are counted, and tunnels, note on an exchange.
    upstream_meter: Any = None
    protocol = "HTTP/2"

    def __init__(self, cluster: "Cluster | None", request: RequestHeaders, limit: int = 0) -> None:
        self._cluster = cluster
        self._request = request
        self._reader = MessageReader(limit)
        self._endpoint: Endpoint | None = None
        self._pool: UpstreamPool | None = None
        self._client: UpstreamStream | None = None
        # What is to be sent while there is no stream; and whether that is all.
        self._unsent: list[bytes] = []
        self._all_said = False
        self._begun = False
        self.over = False
        # The peer takes no more at the moment.
        self.blocked = False
        # What the answer began with, and ended with.
        self.headers: ResponseHeaders | None = None
        self.trailers: Headers | None = None
        # Why the stream was lost, if it was.
        self.failure: Failure | None = None

    @property
    def unsent(self) -> int:
        """Bytes that wait for a connection."""
        return sum(map(len, self._unsent))

    @property
    def stream(self) -> "GrpcCall":
        """What an attempt has a stream for, to a connection."""
        return self

    # ---- for subclasses ----

    def on_message(self, message: bytes) -> None:
        raise NotImplementedError

    def on_end(self, status: int, message: str) -> None:
        """The call is over; status: of gRPC."""
        raise NotImplementedError

    def on_read(self) -> None: ...

    # ---- for callers ----

    def start(self) -> None:
        cluster = self._cluster
        if cluster is None:
            self._finish(UNAVAILABLE, "Cluster not available")
            return
        endpoint = self._endpoint = cluster.balancer.pick(None)
        pool = None
        if endpoint is None:
            cluster.stats.upstream_cx_none_healthy += 1
        else:
            pool = endpoint.pools[0] or cluster.pool(endpoint, 0, "HTTP/2")
        if pool is None:
            self._fail(503, "no healthy upstream")
            return
        self._pool = pool
        client = pool.take(self)
        if client is not None:
            self.on_ready(client)

    def send(self, message: bytes) -> None:
        """One message; `blocked` says whether others had better wait."""
        self._write(frame_message(message))

    def end_sending(self) -> None:
        """No more messages come."""
        if not self._all_said and not self.over:
            self._all_said = True
            if self._client is not None:
                self._client.send_data(b"", True)

    def resume_reading(self) -> None:
        """After a pause that a subclass has made, where the stream is still there."""
        client = self._client
        if client is not None and not self.over:
            client.resume_reading()

    def cancel(self) -> None:
        """The answer is wanted no more. `on_end` is not told."""
        if not self.over:
            self.over = True
            self._leave()

    def timed_out(self) -> None:
        """The time of the call is over."""
        if not self.over:
            assert self._cluster is not None
            self._cluster.stats.upstream_rq_timeout += 1
            if self._endpoint is not None:
                self._endpoint.stats.rq_timeout += 1
            self._leave()
            self._fail(504, "upstream request timeout")

    # ---- from the pool and the stream ----

    def on_ready(self, client: Any) -> None:
        assert self._pool is not None
        if not self._pool.begin():
            self._pool.release(client)
            self.on_reset(OVERFLOW, "")
            return
        self._begun = True
        self._client = client
        client.send_headers(self, self._request, False)
        unsent, self._unsent = self._unsent, []
        if unsent or self._all_said:
            client.send_data(b"".join(unsent), self._all_said)
        client.flush()

    def on_informational(self, headers: ResponseHeaders) -> None: ...

    def on_response(self, headers: ResponseHeaders, body: bytes) -> None:
        self.on_headers(headers, not body)
        if body and not self.over:
            self.on_data(body, True)

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        self.headers = headers
        assert self._cluster is not None
        self._cluster.stats.responses_of(INTERNAL).charge(headers.status)
        status = headers.get("grpc-status")
        if headers.status != 200 and not (end and status is not None):
            self._leave()
            self._finish(grpc_status_of(headers.status), f"HTTP status {headers.status}")
        elif end:
            self.on_trailers(headers)

    def on_data(self, data: bytes, end: bool) -> None:
        try:
            messages = self._reader.feed(data)
        except MessageTooLong:
            self._leave()
            self._finish(RESOURCE_EXHAUSTED, "a message is longer than max_receive_message_length")
            return
        for flags, message in messages:
            if flags and message:
                self._leave()
                self._finish(INTERNAL_ERROR, "a message is compressed, which nobody asked for")
                return
            self.on_message(message)
            if self.over:
                return
        if end:
            self._finish(UNKNOWN, "the answer ended without a status")

    def on_trailers(self, trailers: Headers) -> None:
        self.trailers = trailers
        text = trailers.get("grpc-status") or ""
        status = int(text) if text.isascii() and text.isdigit() else UNKNOWN
        message = decode_message(trailers.get("grpc-message") or "")
        if status == OK and self._reader.unfinished:
            status, message = INTERNAL_ERROR, "the answer ended in the middle of a message"
        self._finish(status, message)

    def on_reset(self, failure: Failure, reason: str) -> None:
        self.failure = failure
        if self.headers is None:
            reply = upstream_failure(failure, reason, False)
            self._fail(reply.status, reply.body.decode() + (f" ({reason})" if reason else ""))
        else:
            self._finish(INTERNAL_ERROR, failure.words)

    def on_write_paused(self) -> None:
        self.blocked = True

    def on_write_resumed(self) -> None:
        self.blocked = False

    # ---- inside ----

    def _write(self, data: bytes) -> None:
        if self.over:
            return
        if self._client is None:
            self._unsent.append(data)
        else:
            self._client.send_data(data, False)

    def _fail(self, status: int, message: str) -> None:
        """There will be no answer but ours; status: of HTTP."""
        assert self._cluster is not None
        self._cluster.stats.responses_of(INTERNAL).charge(status)
        self._finish(grpc_status_of(status), message)

    def _finish(self, status: int, message: str) -> None:
        if self.over:
            return
        self.over = True
        self._end_request()
        endpoint = self._endpoint
        if endpoint is not None:
            if status == OK:
                endpoint.stats.rq_success += 1
            else:
                endpoint.stats.rq_error += 1
        self.on_end(status, message)

    def _leave(self) -> None:
        """Gives up the stream, or the place in the queue."""
        client, self._client = self._client, None
        if client is not None:
            if client.attempt is self:
                client.abandon()
        elif self._pool is not None:
            self._pool.forget(self)
        self._end_request()

    def _end_request(self) -> None:
        if self._begun:
            self._begun = False
            assert self._pool is not None
            self._pool.end()


