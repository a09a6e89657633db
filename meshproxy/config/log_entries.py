"""Access log entries as messages (envoy.data.accesslog.v3), for services that take them over gRPC.

Source: Envoy's grpc_access_log_utils.cc and http_grpc_access_log_impl.cc.
"""

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue

from meshproxy.config.log_tls import fill_tls
from meshproxy.config.structs import utf8
from meshproxy.config.types import message_class
from meshproxy.http.headers import PSEUDO, Headers
from meshproxy.observe import formatter  # noqa: F401  registers the operators
from meshproxy.observe.operators import Exchange, find
from meshproxy.observe.operators_time import POINTS, duration_seconds

# The exchange, and the AccessLogCommon that is filled.
Fill = Callable[[Exchange, Any], None]
# The value of a custom tag; None for one that is not there.
Tag = Callable[[Exchange], str | None]

_PREFIX = "envoy.data.accesslog.v3."
_TIMES = {
    "time_to_last_rx_byte": "DS_RX_END",
    "time_to_first_upstream_tx_byte": "US_TX_BEG",
    "time_to_last_upstream_tx_byte": "US_TX_END",
    "time_to_first_upstream_rx_byte": "US_RX_BEG",
    "time_to_last_upstream_rx_byte": "US_RX_END",
    "time_to_first_downstream_tx_byte": "DS_TX_BEG",
    "time_to_last_downstream_tx_byte": "DS_TX_END",
}
_FLAGS = {
    "LH": "failed_local_healthcheck", "UH": "no_healthy_upstream", "UT": "upstream_request_timeout",
    "LR": "local_reset", "UR": "upstream_remote_reset", "UF": "upstream_connection_failure",
    "UC": "upstream_connection_termination", "UO": "upstream_overflow", "NR": "no_route_found",
    "DI": "delay_injected", "FI": "fault_injected", "RL": "rate_limited", "RLSE": "rate_limit_service_error",
    "DC": "downstream_connection_termination", "URX": "upstream_retry_limit_exceeded", "SI": "stream_idle_timeout",
    "IH": "invalid_envoy_request_headers", "DPE": "downstream_protocol_error",
    "UMSDR": "upstream_max_stream_duration_reached", "RFCF": "response_from_cache_filter",
    "NFCF": "no_filter_config_found", "DT": "duration_timeout", "UPE": "upstream_protocol_error",
    "NC": "no_cluster_found", "OM": "overload_manager", "DF": "dns_resolution_failure", "DR": "downstream_remote_reset",
}  # fmt: skip
_PROTOCOLS = {"HTTP/1.0": "HTTP10", "HTTP/1.1": "HTTP11", "HTTP/2": "HTTP2", "HTTP/3": "HTTP3"}


def http_entry(
    common: Fill, request_headers: Sequence[str], response_headers: Sequence[str], response_trailers: Sequence[str]
) -> Callable[[Exchange], bytes]:
    """A function from a stream to its HTTPAccessLogEntry; the names are of what is told besides."""
    message = message_class(f"{_PREFIX}HTTPAccessLogEntry")
    fill_request, fill_response = _request_filler(request_headers), _response_filler(response_headers)

    def entry(stream: Exchange) -> bytes:
        made = message()
        common(stream, made.common_properties)
        if stream.protocol is not None:
            made.protocol_version = message.HTTPVersion.Value(_PROTOCOLS[stream.protocol])
        fill_request(stream, made.request)
        fill_response(stream, made.response)
        if stream.response_trailers is not None:
            _tell(made.response.response_trailers, stream.response_trailers, response_trailers)
        encoded: bytes = made.SerializeToString()
        return encoded

    return entry


def tcp_entry(common: Fill) -> Callable[[Exchange], bytes]:
    """A function from the record of a connection to its TCPAccessLogEntry."""
    message = message_class(f"{_PREFIX}TCPAccessLogEntry")

    def entry(record: Exchange) -> bytes:
        made = message()
        common(record, made.common_properties)
        made.connection_properties.received_bytes = record.bytes_received
        made.connection_properties.sent_bytes = record.bytes_sent
        encoded: bytes = made.SerializeToString()
        return encoded

    return entry


def common_filler(states: Sequence[str], tags: Sequence[tuple[str, Tag]]) -> Fill:
    """states: names of filter state that is told. tags: the custom ones."""
    types = message_class(f"{_PREFIX}AccessLogCommon").DESCRIPTOR.fields_by_name["access_log_type"].enum_type
    kinds = {name: value.number for name, value in types.values_by_name.items()}
    numbers = _numbers({
        "downstream_wire_bytes_sent": "DOWNSTREAM_WIRE_BYTES_SENT",
        "downstream_wire_bytes_received": "DOWNSTREAM_WIRE_BYTES_RECEIVED",
        "upstream_wire_bytes_sent": "UPSTREAM_WIRE_BYTES_SENT",
        "upstream_wire_bytes_received": "UPSTREAM_WIRE_BYTES_RECEIVED",
        "upstream_request_attempt_count": "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    })  # fmt: skip
    stream_id = find("STREAM_ID", None, None, {})

    def fill(exchange: Exchange, common: Any) -> None:
        _fill_addresses(exchange, common)
        _fill_times(exchange, common)
        numbers(exchange, common)
        common.stream_id = str(stream_id(exchange) or "")
        common.access_log_type = kinds[exchange.log_type]
        common.intermediate_log_entry = not exchange.done
        if exchange.route is not None:
            common.route_name = utf8(exchange.route.name)
        if exchange.cluster is not None:
            common.upstream_cluster = utf8(exchange.cluster.name)
        common.upstream_transport_failure_reason = utf8(exchange.upstream_failure)
        common.downstream_transport_failure_reason = utf8(exchange.connection.transport_failure or "")
        common.connection_termination_details = utf8(exchange.downstream_failure)
        _fill_flags(exchange.flags, common)
        fill_tls(exchange, common)
        for namespace, values in (exchange.metadata or {}).items():
            common.metadata.filter_metadata[utf8(namespace)].update(_tree(values))
        _fill_states(exchange, common, states)
        for name, read in tags:
            if (value := read(exchange)) is not None:
                common.custom_tags[name] = utf8(value)

    return fill


def _numbers(fields: dict[str, str]) -> Fill:
    """Fields that have the value of an operator."""
    getters = [(field, find(name, None, None, {})) for field, name in fields.items()]

    def fill(exchange: Exchange, message: Any) -> None:
        for field, get in getters:
            if value := get(exchange):
                setattr(message, field, value)

    return fill


def _fill_addresses(exchange: Exchange, common: Any) -> None:
    connection = exchange.connection
    _fill_address(common.downstream_remote_address, exchange.peer)
    _fill_address(common.downstream_direct_remote_address, connection.direct_peer)
    _fill_address(common.downstream_local_address, connection.local)
    if exchange.endpoint is not None:
        _fill_address(common.upstream_remote_address, exchange.endpoint.address)
    if exchange.upstream_connection is not None:
        _fill_address(common.upstream_local_address, exchange.upstream_connection.local)


def _fill_address(message: Any, address: tuple[str, int]) -> None:
    host, port = address
    if host.startswith(("/", "@")):
        message.pipe.path = utf8(host)
    else:
        message.socket_address.address = host
        message.socket_address.port_value = port


def _fill_times(exchange: Exchange, common: Any) -> None:
    _fill_span(common.start_time, exchange.start_time)
    _fill_span(common.duration, duration_seconds(exchange))
    for field, point in _TIMES.items():
        if at := POINTS[point](exchange):
            _fill_span(getattr(common, field), max(0.0, at - exchange.started))


def _fill_span(message: Any, seconds: float) -> None:
    """A Timestamp or a Duration; one of no length is there nevertheless."""
    message.SetInParent()
    message.seconds = int(seconds)
    message.nanos = int(seconds % 1.0 * 1e9)


def _fill_flags(flags: Sequence[str], common: Any) -> None:
    for flag in flags:
        if flag == "UAEX":
            reason = common.response_flags.unauthorized_details
            reason.reason = reason.EXTERNAL_SERVICE
        elif name := _FLAGS.get(flag):
            setattr(common.response_flags, name, True)


def _fill_states(exchange: Exchange, common: Any, names: Sequence[str]) -> None:
    for name in names:
        for known in (exchange.filter_state, exchange.connection.filter_state):
            if known is not None and name in known:
                common.filter_state_objects[name].ParseFromString(_packed(known[name]).SerializeToString())
                break


def _packed(value: Any) -> AnyMessage:
    packed = AnyMessage()
    if isinstance(value, dict):
        struct = Struct()
        struct.update(_tree(value))
        packed.Pack(struct)
    else:
        packed.Pack(StringValue(value=utf8(str(value))))
    return packed


def _tree(value: Any) -> Any:
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, dict):
        return {utf8(key): _tree(each) for key, each in value.items()}
    return [_tree(each) for each in value] if isinstance(value, list) else value


def _request_filler(names: Sequence[str]) -> Fill:
    enum = message_class(f"{_PREFIX}HTTPRequestProperties").DESCRIPTOR.fields_by_name["request_method"].enum_type
    known = {value.name: value.number for value in enum.values}
    numbers = _numbers({
        "request_headers_bytes": "REQUEST_HEADERS_BYTES", "request_body_bytes": "BYTES_RECEIVED",
        "upstream_header_bytes_sent": "UPSTREAM_HEADER_BYTES_SENT",
        "downstream_header_bytes_received": "DOWNSTREAM_HEADER_BYTES_RECEIVED",
    })  # fmt: skip
    fields = {
        "user_agent": "user-agent", "referer": "referer", "forwarded_for": "x-forwarded-for",
        "request_id": "x-request-id", "original_path": "x-envoy-original-path",
    }  # fmt: skip

    def fill(stream: Exchange, message: Any) -> None:
        message.SetInParent()
        numbers(stream, message)
        request = stream.request
        if request is None:
            return
        message.request_method = known.get(request.method, 0)
        message.scheme = utf8(request.scheme)
        message.authority = utf8(request.authority)
        message.path = utf8(request.path)
        for field, name in fields.items():
            if value := request.get(name):
                setattr(message, field, utf8(value))
        _tell(message.request_headers, request, names)

    return fill


def _response_filler(names: Sequence[str]) -> Fill:
    numbers = _numbers({
        "response_headers_bytes": "RESPONSE_HEADERS_BYTES",
        "response_body_bytes": "BYTES_SENT", "upstream_header_bytes_received": "UPSTREAM_HEADER_BYTES_RECEIVED",
        "downstream_header_bytes_sent": "DOWNSTREAM_HEADER_BYTES_SENT",
    })  # fmt: skip

    def fill(stream: Exchange, message: Any) -> None:
        message.SetInParent()
        numbers(stream, message)
        message.response_code_details = utf8(stream.details)
        if stream.response is not None:
            message.response_code.value = stream.response.status
            _tell(message.response_headers, stream.response, names)

    return fill


def _tell(told: Any, headers: Headers, names: Sequence[str]) -> None:
    """The headers of these names, joined where they repeat."""
    for name in names:
        if name in PSEUDO:
            value = getattr(headers, PSEUDO[name], "") or None
        else:
            value = ",".join(headers.get_all(name)) if name in headers else None
        if value is not None:
            told[name] = utf8(value)
