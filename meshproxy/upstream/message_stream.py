"""Messages to a service that answers nothing, over one gRPC stream that is opened anew when it has ended."""

import logging

from meshproxy.upstream.grpc_client import GrpcClient, GrpcStream

_log = logging.getLogger("stats")

# Bytes that may wait for a service that is not there yet; what comes beyond that is lost.
_UNSENT = 4 * 1024 * 1024


class MessageStream:
    """identifier: what goes before the first message of every stream, as a part of it."""

    def __init__(self, client: GrpcClient, path: str, identifier: bytes) -> None:
        self._client = client
        self._path = path
        self._identifier = identifier
        self._stream: GrpcStream | None = None
        # Whether it was said that messages are lost, and nothing got through since.
        self._failing = False

    def send(self, message: bytes) -> None:
        """One message, or what of it is lost where nobody takes it: then the log says so, once."""
        stream = self._stream
        first = stream is None or stream.over
        if stream is not None and first and stream.message:
            self._lose(stream.message)
        if stream is None or first:
            stream = self._stream = self._client.stream(self._path, timeout=0)
        if stream.over or stream.blocked or stream.unsent > _UNSENT:
            self._lose(stream.message or "it takes no more")
            return
        if not stream.unsent and stream.headers is not None:
            self._failing = False
        stream.send(self._identifier + message if first else message)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.end_sending()

    def _lose(self, why: str) -> None:
        if not self._failing:
            self._failing = True
            _log.warning("messages to cluster '%s' are lost: %s", self._client.cluster_name, why)
