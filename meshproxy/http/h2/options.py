"""What may be set of HTTP/2, for either side (envoy.config.core.v3.Http2ProtocolOptions)."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(slots=True)
class Http2Options:
    """Sizes in bytes, times in seconds; the defaults are Envoy 1.40's."""

    hpack_table_size: int = 4096
    max_concurrent_streams: int = 1024
    initial_stream_window: int = 16 * _MIB
    initial_connection_window: int = 24 * _MIB
    # Extended CONNECT (RFC 8441) is announced and taken.
    allow_connect: bool = False
    # A message that is invalid ends its stream, and not the connection.
    stream_error: bool = False
    # Floods: frames that wait to be written, those of them that are no data, frames in a row that carry nothing,
    # PRIORITY frames per stream, WINDOW_UPDATE frames per DATA frame that was sent.
    max_outbound_frames: int = 10000
    max_outbound_control_frames: int = 1000
    max_empty_frames: int = 1
    max_priority_frames: int = 100
    max_window_updates: int = 10
    # connection_keepalive: seconds between PINGs (0: none), for the answer, and how many percent of the interval at
    # most a PING comes later; connection_idle_interval: a PING before a stream on a connection idle for so long.
    keepalive_interval: float = 0.0
    keepalive_timeout: float = 0.0
    keepalive_jitter: float = 15.0
    keepalive_idle: float = 0.0
    # custom_settings_parameters: identifiers and values that are announced besides.
    settings: tuple[tuple[int, int], ...] = ()
    # Of a message's head, from the protocol options of the manager or cluster.
    max_head: int = 60 * 1024
    max_headers: int = 100
    # headers_with_underscores_action: "allow", "reject" or "drop".
    underscores: str = "allow"
