"""Is this TLS, and for which server (envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector)."""

from typing import Any

from meshproxy.api import (
    CLOSE,
    MORE,
    Connection,
    ListenerFilter,
    Look,
    NotTls,
    StatGroup,
    ja3,
    ja4,
    parse_client_hello,
)

_MAX_HELLO = 16 * 1024


class TlsInspectorStats(StatGroup):
    """`tls_inspector.*`."""

    COUNTERS = (
        "alpn_found", "alpn_not_found", "client_hello_too_large", "sni_found", "sni_not_found", "tls_found",
        "tls_not_found",
    )  # fmt: skip
    HISTOGRAMS = ("bytes_processed",)

    __slots__ = (*COUNTERS, *HISTOGRAMS)


class TlsInspector(ListenerFilter):
    """strict: a connection that is not TLS is closed. ja3, ja4: hellos get these fingerprints."""

    def __init__(self, max_hello: int, strict: bool, ja3: bool = False, ja4: bool = False) -> None:
        self.max_bytes = max_hello
        self._strict = strict
        self._ja3 = ja3
        self._ja4 = ja4
        self.stats = TlsInspectorStats()

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "TlsInspector":
        config.ignore("initial_read_buffer_size", why="what has come is looked at where it lies")
        strict = config.close_connection_on_client_hello_parsing_errors
        wanted = [config.get(f"enable_{kind}_fingerprinting", False) for kind in ("ja3", "ja4")]
        built = cls(config.get("max_client_hello_size", _MAX_HELLO), strict, *wanted)
        ctx.stats.add("tls_inspector", built.stats)
        return built

    def on_data(self, connection: Connection, data: bytes) -> Look:
        stats = self.stats
        try:
            hello = parse_client_hello(data)
        except NotTls:
            stats.tls_not_found += 1
            stats.bytes_processed.record(min(len(data), 5))
            return CLOSE if self._strict else 0
        if hello is None:
            if len(data) < self.max_bytes:
                return MORE
            stats.client_hello_too_large += 1
            return CLOSE
        stats.tls_found += 1
        stats.bytes_processed.record(len(data))
        connection.transport_protocol = "tls"
        if self._ja3:
            connection.ja3 = ja3(data)
        if self._ja4:
            connection.ja4 = ja4(data)
        if hello.server_name:
            stats.sni_found += 1
            connection.server_name = hello.server_name
        else:
            stats.sni_not_found += 1
        if hello.alpn:
            stats.alpn_found += 1
            connection.application_protocols = hello.alpn
        else:
            stats.alpn_not_found += 1
        return 0
