"""gRPC calls of our own over our own clusters: serialised messages in and out (envoy.config.core.v3.GrpcService).

    client = GrpcClient(clusters, "ratelimit", timeout=0.5)
    answer = await client.unary("/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", request)

    stream = client.stream("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs")
    stream.send(message)
    async for message in stream: ...

A call goes over the cluster's HTTP/2 connections with everything that they have: TLS, unix sockets, limits, stats. It
ends with GrpcError unless its status is OK.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from meshproxy.http.failures import Failure
from meshproxy.http.grpc import GRPC
from meshproxy.http.headers import Pair, RequestHeaders
from meshproxy.net.local_address import local_address
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.upstream.cluster import Clusters
from meshproxy.upstream.grpc_call import OK, UNKNOWN, GrpcCall
from meshproxy.upstream.grpc_retry import GrpcRetries

# Bytes of messages that wait for whoever reads a stream; past them the peer has to wait.
_UNREAD = 1024 * 1024


class GrpcError(Exception):
    """status: of gRPC, such as 14 (UNAVAILABLE)."""

    def __init__(self, status: int, message: str, failure: Failure | None = None) -> None:
        super().__init__(f"gRPC status {status}: {message}")
        self.status = status
        self.message = message
        # Why there was no answer, where there was none.
        self.failure = failure


class GrpcClient:
    """timeout: in seconds, of each call that has none of its own; 0 for none. authority: the cluster's name if empty.

    metadata: sent with every call. max_message: bytes of a message that is received; 0 for any. envoy_headers: whether
    x-envoy-internal and the like are sent.
    """

    def __init__(
        self, clusters: Clusters, cluster_name: str, *, authority: str = "", timeout: float = 0.0,
        metadata: Sequence[Pair] = (), max_message: int = 0, envoy_headers: bool = True,
    ) -> None:  # fmt: skip
        self.clusters = clusters
        self.cluster_name = cluster_name
        self.authority = authority or cluster_name
        self.timeout = timeout
        self.metadata = tuple(metadata)
        self.max_message = max_message
        self.envoy_headers = envoy_headers
        # Of calls with one message; streams are their callers' business.
        self.retries: GrpcRetries | None = None
        self._deadlines: TimeoutQueue[GrpcCall] | None = None

    async def unary(
        self, path: str, message: bytes, metadata: Sequence[Pair] = (), timeout: float | None = None
    ) -> bytes:
        """One message for one message. path: `/package.Service/Method`. Raises GrpcError."""
        tries = 1
        while True:
            try:
                return await self._try(path, message, metadata, timeout)
            except GrpcError as error:
                if self.retries is None or not self.retries.wants(tries, error.status, error.failure):
                    raise
            await asyncio.sleep(self.retries.pause(tries))
            tries += 1

    async def _try(self, path: str, message: bytes, metadata: Sequence[Pair], timeout: float | None) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        call = _UnaryCall(self, self._request(path, metadata, timeout), answer)
        self._begin(call, timeout)
        call.send(message)
        call.end_sending()
        call.start()
        try:
            return await answer
        finally:
            self._ended(call)
            call.cancel()

    def stream(self, path: str, metadata: Sequence[Pair] = (), timeout: float | None = None) -> "GrpcStream":
        """Any number of messages each way. It begins at once."""
        call = GrpcStream(self, self._request(path, metadata, timeout), self._ended)
        self._begin(call, timeout)
        call.start()
        return call

    def _request(self, path: str, metadata: Sequence[Pair], timeout: float | None) -> RequestHeaders:
        timeout = self.timeout if timeout is None else timeout
        milliseconds = str(round(timeout * 1000))
        pairs = [("te", "trailers")]
        if timeout:
            pairs.append(("grpc-timeout", f"{milliseconds}m"))
        pairs += [("content-type", GRPC), *self.metadata, *metadata]
        if self.envoy_headers:
            pairs += [("x-envoy-internal", "true"), ("x-forwarded-for", local_address())]
            if timeout:
                pairs.append(("x-envoy-expected-rq-timeout-ms", milliseconds))
        return RequestHeaders("POST", path, self.authority, pairs)

    def _begin(self, call: GrpcCall, timeout: float | None) -> None:
        timeout = self.timeout if timeout is None else timeout
        if not timeout:
            return
        if self._deadlines is None:
            self._deadlines = TimeoutQueue(asyncio.get_running_loop(), self.timeout, _timed_out)
        if timeout == self.timeout:
            self._deadlines.add(call)
        else:
            self._deadlines.add_for(call, timeout)

    def _ended(self, call: GrpcCall) -> None:
        if self._deadlines is not None:
            self._deadlines.discard(call)


def _timed_out(call: GrpcCall) -> float:
    call.timed_out()
    return 0


class _UnaryCall(GrpcCall):
    """The answer's message goes to a Future, once its status is known."""

    def __init__(self, client: GrpcClient, request: RequestHeaders, answer: "asyncio.Future[bytes]") -> None:
        super().__init__(client.clusters.by_name.get(client.cluster_name), request, client.max_message)
        self._answer = answer
        self._message: bytes | None = None

    def on_message(self, message: bytes) -> None:
        self._message = message

    def on_end(self, status: int, message: str) -> None:
        if self._answer.done():
            return
        if status != OK:
            self._answer.set_exception(GrpcError(status, message, self.failure))
        elif self._message is None:
            self._answer.set_exception(GrpcError(UNKNOWN, "the answer has no message"))
        else:
            self._answer.set_result(self._message)


class GrpcStream(GrpcCall):
    """`send`, `end_sending`, `cancel`; `blocked` and `writable()` for whoever sends much; `receive` or `async for`.

    `ended`: called once with the stream when it is over, however that came.
    """

    def __init__(self, client: GrpcClient, request: RequestHeaders, ended: Callable[[GrpcCall], None]) -> None:
        super().__init__(client.clusters.by_name.get(client.cluster_name), request, client.max_message)
        self._ended = ended
        self._unread: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        # How it ended, once it has; None while it is on.
        self.status: int | None = None
        self.message = ""
        # Whoever waits for a message, or for room to send.
        self._reader_waits: asyncio.Future[None] | None = None
        self._writer_waits: asyncio.Future[None] | None = None

    async def receive(self) -> bytes | None:
        """The next message; None where the call ended well. Raises GrpcError."""
        while not self._unread:
            if self.status == OK:
                return None
            if self.status is not None:
                raise GrpcError(self.status, self.message)
            self._reader_waits = asyncio.get_running_loop().create_future()
            await self._reader_waits
        message = self._unread.popleft()
        self._size -= len(message)
        if self._paused and self._size < _UNREAD // 2:
            self._paused = False
            self.resume_reading()
        return message

    def __aiter__(self) -> "GrpcStream":
        return self

    async def __anext__(self) -> bytes:
        message = await self.receive()
        if message is None:
            raise StopAsyncIteration
        return message

    async def writable(self) -> None:
        """Returns once the peer takes more, or the call is over."""
        while self.blocked and not self.over:
            self._writer_waits = asyncio.get_running_loop().create_future()
            await self._writer_waits

    def cancel(self) -> None:
        if not self.over:
            super().cancel()
            self.status, self.message = 1, "cancelled from here"
            self._wake()

    # ---- from the stream ----

    def on_message(self, message: bytes) -> None:
        self._unread.append(message)
        self._size += len(message)
        if self._size > _UNREAD and not self._paused and self._client is not None:
            self._paused = True
            self._client.pause_reading()
        _wake(self._reader_waits)

    def on_end(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        self._wake()

    def on_write_resumed(self) -> None:
        super().on_write_resumed()
        _wake(self._writer_waits)

    def _wake(self) -> None:
        self._ended(self)
        _wake(self._reader_waits)
        _wake(self._writer_waits)


def _wake(waiting: "asyncio.Future[None] | None") -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
