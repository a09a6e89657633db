"""What access logs are told of a connection that is not HTTP: the attributes of a Stream, most of them empty."""

import time
from typing import Any

from meshproxy.net.connection import Connection


class ConnectionRecord:
    """A connection as one log entry. It has no request and no response, so its code is 0 and its protocol is none."""

    __slots__ = (
        "attempts", "bytes_received", "bytes_sent", "cluster", "cluster_name", "connection", "details",
        "downstream_close_type", "downstream_failure", "earlier_endpoints", "endpoint", "filter_state", "flags",
        "last_activity", "log_type", "metadata", "peer", "pool_wait", "protocol", "start_time",
        "started", "upstream_close_reason", "upstream_close_type", "upstream_connection", "upstream_failure",
    )  # fmt: skip

    # Of a stream, but never of a connection.
    request = None
    request_trailers = None
    response = None
    response_trailers = None
    route = None
    virtual_host = None
    virtual_cluster = None
    local_reply_body = ""
    health_check = False
    request_done_at = 0.0
    request_sent_at = 0.0
    response_started_at = 0.0
    response_complete = False
    route_time = None
    route_look_ups = 0
    meter = None
    upstream_meter = None
    # Whether its bytes are those on the wire too: of a TCP proxy's connections alone, as Envoy has it.
    counts_wire = False

    def __init__(self, connection: Connection, flags: tuple[str, ...] = (), details: str = "") -> None:
        self.connection = connection
        self.peer = connection.peer
        # Which moment is logged (envoy.data.accesslog.v3.AccessLogType).
        self.log_type = "NotSet"
        self.flags = flags
        self.details = details
        # Loop time in seconds; start_time is the wall clock.
        self.started = connection.started
        self.last_activity = connection.started
        self.start_time = time.time() - time.monotonic() + connection.started
        self.bytes_received = 0
        self.bytes_sent = 0
        self.attempts = 0
        self.cluster: Any = None
        self.cluster_name: str | None = None
        self.endpoint: Any = None
        # A TcpConnection.
        self.upstream_connection: Any = None
        self.earlier_endpoints: tuple[Any, ...] = ()
        self.pool_wait: float | None = None
        # %DOWNSTREAM_DETECTED_CLOSE_TYPE%, %UPSTREAM_DETECTED_CLOSE_TYPE%, %UPSTREAM_LOCAL_CLOSE_REASON%
        self.downstream_close_type = "Normal"
        self.upstream_close_type: str | None = None
        self.upstream_close_reason = ""
        # %PROTOCOL%: what was spoken, where that was HTTP.
        self.protocol: str | None = None
        self.upstream_failure = ""
        self.downstream_failure = ""
        self.metadata = connection.metadata
        self.filter_state = connection.filter_state

    @property
    def done(self) -> bool:
        """Whether this is logged at its end, by a TCP proxy or by its listener."""
        return self.log_type in ("TcpConnectionEnd", "NotSet")

    @property
    def stream_id(self) -> str | None:
        """%STREAM_ID%: of connections that a TCP proxy serves."""
        return None

    def add_flag(self, flag: str) -> None:
        if flag not in self.flags:
            self.flags = (*self.flags, flag)
