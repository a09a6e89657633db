"""Counts gRPC calls and messages by service and method (envoy.extensions.filters.http.grpc_stats.v3.FilterConfig).

The numbers stand with the cluster of the call: `cluster.<name>.grpc.<service>.<method>.success` and so on.
"""

from dataclasses import dataclass, field
from typing import Any

from meshproxy.api import Headers, HttpFilter, ResponseHeaders, StateObject, Stream, is_grpc

from .grpc_names import MessageCounter, service_and_method

_STATE = "envoy.filters.http.grpc_stats"


@dataclass(slots=True)
class Call:
    """A call under way. names: what stands before its numbers; None where nothing is counted."""

    names: str | None
    # The request is gRPC.
    asked: bool
    requests: MessageCounter = field(default_factory=MessageCounter)
    responses: MessageCounter = field(default_factory=MessageCounter)
    # The answer is gRPC too.
    answered: bool = False


class GrpcStats(HttpFilter):
    """methods: those with numbers of their own, or None for all methods."""

    def __init__(
        self, methods: frozenset[tuple[str, str]] | None, emit_state: bool, upstream_time: bool, replace_dots: bool
    ) -> None:
        self._methods = methods
        self._emit_state = emit_state
        self._upstream_time = upstream_time
        self._replace_dots = replace_dots

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "GrpcStats":
        methods: frozenset[tuple[str, str]] | None = frozenset()
        if config.which("per_method_stat_specifier") == "individual_method_stats_allowlist":
            services = config.individual_method_stats_allowlist.services
            methods = frozenset((each.name, method) for each in services for method in each.method_names)
        elif config.stats_for_all_methods:
            methods = None
        return cls(
            methods, config.emit_filter_state, config.enable_upstream_stats, config.replace_dots_in_grpc_service_name
        )

    def on_request_headers(self, stream: Stream, end: bool) -> None:
        asked = is_grpc(stream.request)
        if asked or self._emit_state:
            # Answers that are gRPC show in the filter state, whatever was asked.
            stream.keep(self, Call(self._names(stream.request.path) if asked else None, asked))

    def on_request_data(self, stream: Stream, data: bytes, end: bool) -> None:
        call: Call | None = stream.kept(self)
        if call is not None and call.asked and (begun := call.requests.add(data)):
            self._count_messages(stream, call, "request_message_count", begun)

    def on_response_headers(self, stream: Stream, end: bool) -> None:
        call: Call | None = stream.kept(self)
        response = stream.response
        if call is None or response is None:
            return
        call.answered = _is_answer(response, end)
        self._count_status(stream, call, response, end)

    def on_response_data(self, stream: Stream, data: bytes, end: bool) -> None:
        call: Call | None = stream.kept(self)
        if call is not None and call.answered and (begun := call.responses.add(data)):
            self._count_messages(stream, call, "response_message_count", begun)

    def on_response_trailers(self, stream: Stream) -> None:
        call: Call | None = stream.kept(self)
        if call is not None and stream.response_trailers is not None:
            self._count_status(stream, call, stream.response_trailers, True)

    def _names(self, path: str) -> str | None:
        found = service_and_method(path)
        if found is None:
            return None
        service, method = found
        if self._methods is not None and found not in self._methods:
            return "grpc."
        if self._replace_dots and self._methods is None:
            service = service.replace(".", "_")
        return f"grpc.{service}.{method}."

    def _count_messages(self, stream: Stream, call: Call, name: str, begun: int) -> None:
        if self._emit_state:
            stream.set_state(_STATE, _state(call.requests.count, call.responses.count))
        cluster = stream.find_cluster()
        if cluster is not None and call.names is not None:
            cluster.stats.named.count(call.names, name, begun)

    def _count_status(self, stream: Stream, call: Call, headers: Headers, end: bool) -> None:
        cluster = stream.find_cluster()
        if cluster is None or call.names is None:
            return
        named = cluster.stats.named
        status = headers.get("grpc-status")
        if status is not None:
            named.count(call.names, status)
            named.count(call.names, "success" if status == "0" else "failure")
            named.count(call.names, "total")
        if end and self._upstream_time and stream.response_started_at:
            now = stream.manager.loop.time()
            named.record(call.names, "upstream_rq_time", round((now - stream.request_done_at) * 1000))


def _state(requests: int, responses: int) -> StateObject:
    """As envoy.extensions.filters.http.grpc_stats.v3.FilterObject is shown: 64 bits are text, and 0 is left out."""
    counts = {"request_message_count": requests, "response_message_count": responses}
    return StateObject(f"{requests},{responses}", {name: str(count) for name, count in counts.items() if count})


def _is_answer(response: ResponseHeaders, end: bool) -> bool:
    if end:
        return "grpc-status" in response.index
    return response.status == 200 and is_grpc(response)
