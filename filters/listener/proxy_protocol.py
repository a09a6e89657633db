"""Who the client is, from a header that a load balancer puts in front (PROXY protocol v1 and v2).

envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol; the header's layout is HAProxy's proxy-protocol.txt.
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meshproxy.api import CLOSE, MORE, Connection, ListenerFilter, Look, StatGroup
from meshproxy.filters.listener.proxy_header import HeaderError, ProxyHeader, parse_v1, parse_v2

_SIGNATURE_V1 = b"PROXY"
_SIGNATURE_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_HEAD_V2 = 16
_MAX_V1 = 108
_MAX_V2 = _HEAD_V2 + 65535
_NAMESPACE = "envoy.filters.listener.proxy_protocol"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which metadata a TLV becomes, and how its bytes are written there."""

    namespace: str
    key: str
    show: Callable[[bytes], str]


class LegacyStats(StatGroup):
    """An older name, without a prefix, that Envoy keeps."""

    COUNTERS = ("downstream_cx_proxy_proto_error",)

    __slots__ = COUNTERS


class FoundStats(StatGroup):
    """`proxy_proto.[<stat_prefix>.]*`."""

    COUNTERS = ("not_found_allowed", "not_found_disallowed")

    __slots__ = COUNTERS


class VersionStats(StatGroup):
    """`proxy_proto.[<stat_prefix>.]versions.<version>.*`."""

    COUNTERS = ("disallowed", "error", "found")

    __slots__ = COUNTERS


class ProxyProtocol(ListenerFilter):
    """optional: a connection may come without a header. versions: those that are taken. rules: by type of TLV."""

    max_bytes = _MAX_V2

    def __init__(
        self, optional: bool = False, versions: frozenset[int] = frozenset({1, 2}),
        rules: dict[int, list[Rule]] | None = None,
    ) -> None:  # fmt: skip
        self._optional = optional
        self._versions = versions
        self._rules = rules or {}
        self.legacy_stats = LegacyStats()
        self.stats = FoundStats()
        self.version_stats = {1: VersionStats(), 2: VersionStats()}

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "ProxyProtocol":
        # The enum counts from 0: V1 is 0.
        disallowed = {version + 1 for version in config.disallowed_versions}
        rules: dict[int, list[Rule]] = {}
        for rule in config.rules:
            pair = rule.on_tlv_present
            show = _base64 if pair.enum("value_string_encoding") == "BASE64" else _utf8
            rules.setdefault(rule.tlv_type, []).append(Rule(pair.metadata_namespace or _NAMESPACE, pair.key, show))
        if config.enum("tlv_location") != "DYNAMIC_METADATA":
            config.reject("tlv_location", "TLVs are kept as dynamic metadata only")
        config.ignore("pass_through_tlvs", why="no upstream is sent a PROXY header")
        built = cls(config.allow_requests_without_proxy_protocol, frozenset({1, 2} - disallowed), rules)
        prefix = f"proxy_proto.{config.stat_prefix}." if config.stat_prefix else "proxy_proto."
        ctx.stats.add("", built.legacy_stats)
        ctx.stats.add(prefix[:-1], built.stats)
        for version, stats in built.version_stats.items():
            ctx.stats.add(f"{prefix}versions.v{version}", stats)
        return built

    def on_data(self, connection: Connection, data: bytes) -> Look:
        if self._optional and not self._may_begin(data):
            self.stats.not_found_allowed += 1
            return 0
        if len(data) >= _HEAD_V2:
            if data.startswith(_SIGNATURE_V2):
                return self._read(connection, 2, data)
            if not data.startswith(_SIGNATURE_V1):
                self.stats.not_found_disallowed += 1
                return self._refuse()
        end = data.find(b"\r\n")
        if end > 0:
            return self._read(connection, 1, data[: end + 2])
        if len(data) >= _MAX_V1:
            self.version_stats[1].error += 1
            return self._refuse()
        return MORE

    def _may_begin(self, data: bytes) -> bool:
        """Whether a header that is taken may begin like this."""
        signatures = ((1, _SIGNATURE_V1), (2, _SIGNATURE_V2))
        return any(
            version in self._versions and data[: len(signature)] == signature[: len(data)]
            for version, signature in signatures
        )

    def _read(self, connection: Connection, version: int, data: bytes) -> Look:
        stats = self.version_stats[version]
        try:
            header = parse_v1(data) if version == 1 else parse_v2(data)
        except HeaderError:
            stats.error += 1
            return self._refuse()
        if header is None:
            return MORE
        stats.found += 1
        if version not in self._versions:
            stats.disallowed += 1
            return CLOSE
        self._apply(connection, header)
        return header.length

    def _refuse(self) -> Look:
        self.legacy_stats.downstream_cx_proxy_proto_error += 1
        return CLOSE

    def _apply(self, connection: Connection, header: ProxyHeader) -> None:
        if header.peer is not None and header.local is not None:
            connection.peer = header.peer
            if header.local != connection.local:
                connection.restore(header.local)
        for kind, value in header.tlvs:
            for rule in self._rules.get(kind, ()):
                if connection.metadata is None:
                    connection.metadata = {}
                # Of several TLVs of one type the first counts.
                connection.metadata.setdefault(rule.namespace, {}).setdefault(rule.key, rule.show(value))


def _utf8(value: bytes) -> str:
    """What is not UTF-8 is shown as `!`, as in Envoy."""
    return value.decode("utf-8", "replace").replace("\ufffd", "!")


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
