"""Is this HTTP, and which (envoy.extensions.filters.listener.http_inspector.v3.HttpInspector)."""

from typing import Any

from meshproxy.api import MORE, Connection, ListenerFilter, Look, StatGroup

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_MAX_LINE = 8192
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class HttpInspectorStats(StatGroup):
    """`http_inspector.*`."""

    COUNTERS = ("http10_found", "http11_found", "http2_found", "http_not_found", "read_error")

    __slots__ = COUNTERS


class HttpInspector(ListenerFilter):
    """Tells the filter chain match which application protocol a plaintext connection speaks."""

    max_bytes = _MAX_LINE

    def __init__(self) -> None:
        self.stats = HttpInspectorStats()

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "HttpInspector":
        built = cls()
        ctx.stats.add("http_inspector", built.stats)
        return built

    def on_accept(self, connection: Connection, sock: Any) -> Look:
        return MORE if connection.transport_protocol == "raw_buffer" else 0

    def on_data(self, connection: Connection, data: bytes) -> Look:
        protocol = find_protocol(data)
        if protocol is None:
            if len(data) < _MAX_LINE:
                return MORE
            protocol = ""
        stats = self.stats
        if protocol == "h2c":
            stats.http2_found += 1
        elif protocol == "http/1.1":
            stats.http11_found += 1
        elif protocol == "http/1.0":
            stats.http10_found += 1
        else:
            stats.http_not_found += 1
            return 0
        connection.application_protocols = (protocol,)
        return 0


def find_protocol(data: bytes) -> str | None:
    """`h2c`, `http/1.1`, `http/1.0`, or "" for something else; None while the first line is not complete."""
    if data[: len(_PREFACE)] == _PREFACE[: len(data)]:
        return "h2c" if len(data) >= len(_PREFACE) else None
    line = data.replace(b"\n", b"\r").partition(b"\r")[0]
    words = line.split(None, 2)
    if not words or not line.startswith(words[0]) or not _TOKEN.issuperset(words[0]):
        return ""
    if len(line) == len(data):
        return None
    if len(words) < 2 or not _is_target(words[0], words[1]):
        return ""
    version = words[2].rstrip(b" ") if len(words) > 2 else b"HTTP/0.9"
    if version == b"HTTP/1.1":
        return "http/1.1"
    # Envoy takes every other version for 1.0.
    return "http/1.0" if len(version) == 8 and version.startswith(b"HTTP/") and version[6:7] == b"." else ""


def _is_target(method: bytes, target: bytes) -> bool:
    """A path, `*`, an absolute URL, or an authority for CONNECT."""
    plausible = target.startswith((b"/", b"*")) or b"://" in target or method == b"CONNECT"
    return plausible and bool(target) and max(target) < 127
