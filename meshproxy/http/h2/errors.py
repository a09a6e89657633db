"""What a peer can do wrong, and whom it harms."""

from typing import Any

from meshproxy.http.h2 import frames

# %RESPONSE_CODE_DETAILS%, as Envoy has them.
INVALID_HEADER = "http2.invalid.header.field"
UNKNOWN_ERROR = "http2.unknown.nghttp2.error"
INVALID_MESSAGE = "http2.violation.of.messaging.rule"
UNDERSCORE = "http2.unexpected_underscore"
# Of heads that Envoy itself does not like, which never harm more than their stream.
TOO_MANY_HEADERS = "http2.too_many_headers"
HEAD_TOO_LARGE = "http2.header_list_size_too_large"
UNWANTED = frozenset({TOO_MANY_HEADERS, HEAD_TOO_LARGE, UNDERSCORE})


class ConnectionBroken(Exception):
    """The connection must end.

    code: of HTTP/2. reason: what GOAWAY says as debug data. told: the peer gets that GOAWAY; where Envoy's library
    leaves the decision to Envoy the connection ends without a word, and so does ours. stream: whose fault it was, where
    it was one's; `reason` is then what is logged of it.
    """

    def __init__(self, code: int, reason: str = "", told: bool = True, stream: Any = None) -> None:
        super().__init__(reason)
        self.stream = stream
        self.code = code
        self.reason = reason
        self.told = told


class Flood(ConnectionBroken):
    """The peer makes us work, or write, more than is reasonable. It is not told: it would not read it."""

    def __init__(self, reason: str, stream: Any = None) -> None:
        super().__init__(frames.ENHANCE_YOUR_CALM, reason, False, stream)


class HpackError(ConnectionBroken):
    """A header block that cannot be read: what both sides know of each other's tables is lost with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(frames.COMPRESSION_ERROR)
        self.why = reason


class MessageInvalid(Exception):
    """A head, trailers or a body that HTTP does not allow. details: %RESPONSE_CODE_DETAILS%."""

    def __init__(self, details: str) -> None:
        super().__init__(details)
        self.details = details
