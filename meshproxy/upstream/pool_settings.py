"""What every connection of a cluster has in common, and which protocol it speaks."""

from dataclasses import dataclass, field

from meshproxy.http.h1_head import Http1Options
from meshproxy.http.h2.options import Http2Options

# Which protocol a cluster's connections speak: one of the two, the one that the client speaks, or the one that TLS
# agrees on.
HTTP1 = "http1"
HTTP2 = "http2"
AS_DOWNSTREAM = "downstream"
BY_ALPN = "alpn"


@dataclass(slots=True)
class PoolSettings:
    """Seconds and bytes; 0 means no limit.

    max_requests: exchanges per connection. max_stream_duration: of one exchange. Source: HttpProtocolOptions.
    """

    connect_timeout: float = 5.0
    idle_timeout: float = 3600.0
    max_duration: float = 0.0
    # By how many percent at most a connection may get older, so that not all end at once.
    max_duration_jitter: float = 0.0
    max_requests: int = 0
    max_stream_duration: float = 0.0
    buffer_limit: int = 1024 * 1024
    preconnect_ratio: float = 1.0
    protocol: str = HTTP1
    http1: Http1Options = field(default_factory=Http1Options)
    http2: Http2Options = field(default_factory=Http2Options)
