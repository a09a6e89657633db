"""How HTTP/2 is spoken (envoy.config.core.v3.Http2ProtocolOptions), for either side."""

from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.http.h2 import frames
from meshproxy.http.h2.options import Http2Options

# The parameters that have a field of their own: identifier -> the field, and where its value goes.
_NAMED = {
    frames.HEADER_TABLE_SIZE: ("hpack_table_size", "hpack_table_size"),
    frames.MAX_CONCURRENT_STREAMS: ("max_concurrent_streams", "max_concurrent_streams"),
    frames.INITIAL_WINDOW_SIZE: ("initial_stream_window_size", "initial_stream_window"),
}
_FLOODS = {
    "max_outbound_frames": "max_outbound_frames",
    "max_outbound_control_frames": "max_outbound_control_frames",
    "max_consecutive_inbound_frames_with_empty_payload": "max_empty_frames",
    "max_inbound_priority_frames_per_stream": "max_priority_frames",
    "max_inbound_window_update_frames_per_data_frame_sent": "max_window_updates",
}


def read_http2_options(options: Http2Options, view: View) -> None:
    """What `http2_protocol_options` says goes into `options`."""
    for field, attribute in (*_NAMED.values(), *_FLOODS.items()):
        setattr(options, attribute, view.get(field, getattr(options, attribute)))
    options.initial_connection_window = view.get("initial_connection_window_size", options.initial_connection_window)
    options.allow_connect = view.allow_connect
    if view.allow_metadata:
        view.ignore("allow_metadata", why="METADATA frames are dropped, as where it is not allowed")
    old = view.stream_error_on_invalid_http_messaging
    options.stream_error = view.get("override_stream_error_on_invalid_http_message", old or options.stream_error)
    view.ignore("use_oghttp2_codec", why="there is one codec")
    view.ignore("enable_huffman_encoding", why="strings are written in whatever form is shorter")
    _read_custom_settings(options, view)
    _read_keepalive(options, view.connection_keepalive)


def _read_custom_settings(options: Http2Options, view: View) -> None:
    values: dict[int, int] = {}
    twice, named = [], []
    for entry in view.custom_settings_parameters:
        identifier, value = entry.identifier, entry.value
        if identifier == frames.ENABLE_CONNECT_PROTOCOL:
            raise ConfigError('the "allow_connect" SETTINGS parameter must only be configured through the named field')
        if identifier == frames.ENABLE_PUSH and value:
            raise ConfigError(
                "server push is not supported by Envoy and can not be enabled via a SETTINGS parameter."
            )
        if values.setdefault(identifier, value) != value:
            twice.append(f"0x{identifier:02x}")
        if identifier in _NAMED and view.has(_NAMED[identifier][0]):
            named.append(_NAMED[identifier][0])
    if twice:
        raise ConfigError(
            f"inconsistent HTTP/2 custom SETTINGS parameter(s) detected; identifiers = {{{','.join(twice)}}}"
        )
    if named:
        raise ConfigError(
            f"the {{{','.join(named)}}} HTTP/2 SETTINGS parameter(s) can not be configured through both named and "
            "custom parameters"
        )
    for identifier in _NAMED.keys() & values.keys():
        setattr(options, _NAMED[identifier][1], values.pop(identifier))
    values.pop(frames.ENABLE_PUSH, None)
    options.settings = tuple(values.items())


def _read_keepalive(options: Http2Options, view: View) -> None:
    if not view:
        return
    options.keepalive_interval = view.seconds("interval", 0.0) or 0.0
    options.keepalive_timeout = view.seconds("timeout", 0.0) or 0.0
    if view.has("interval_jitter"):
        options.keepalive_jitter = view.interval_jitter.value
    options.keepalive_idle = view.seconds("connection_idle_interval", 0.0) or 0.0
