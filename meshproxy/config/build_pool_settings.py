"""What the connections of a cluster have in common: `HttpProtocolOptions`, or the older fields on the cluster."""

from meshproxy.config.build_http1_options import read_http1_options
from meshproxy.config.build_http2_options import read_http2_options
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.upstream.pool_settings import AS_DOWNSTREAM, BY_ALPN, HTTP1, HTTP2, PoolSettings

_EXTENSION = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CODEC = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
# Of responses over HTTP/1; the documents of Envoy say 60, its codec says this.
_DEFAULT_HEAD_KB = 80
_DEFAULT_HTTP2_HEAD_KB = 60
_HTTP3 = "HTTP/3 upstreams are not supported"


def build_pool_settings(cluster: View) -> PoolSettings:
    settings = PoolSettings()
    settings.connect_timeout = cluster.seconds("connect_timeout", 5.0) or 0.0
    settings.buffer_limit = cluster.get("per_connection_buffer_limit_bytes", 1024 * 1024)
    if cluster.has("max_requests_per_connection"):
        settings.max_requests = cluster.max_requests_per_connection
    preconnect = cluster.preconnect_policy
    settings.preconnect_ratio = preconnect.get("per_upstream_preconnect_ratio", 1.0)
    preconnect.ignore("predictive_preconnect_ratio", why="only the endpoint that is picked gets connections ahead")
    extensions = dict(cluster.typed_extension_protocol_options)
    extension = extensions.pop(_EXTENSION, None)
    for name in extensions:
        raise ConfigError(f"unsupported extension: {name}", f"typed_extension_protocol_options['{name}']")
    if extension is not None:
        cluster.ignore(
            "common_http_protocol_options", "http_protocol_options", "http2_protocol_options",
            "upstream_http_protocol_options", "protocol_selection", why=f"{_EXTENSION} takes their place",
        )  # fmt: skip
        _read_extension(settings, extension.unpack())
    else:
        _read_common(settings, cluster.common_http_protocol_options)
        _read_old_fields(settings, cluster)
    return settings


def upstream_http_options(cluster: View) -> View:
    """UpstreamHttpProtocolOptions: what TLS takes from requests."""
    extension = dict(cluster.typed_extension_protocol_options).get(_EXTENSION)
    of = cluster if extension is None else extension.unpack()
    options: View = of.upstream_http_protocol_options
    return options


def _read_old_fields(settings: PoolSettings, cluster: View) -> None:
    """The fields of the cluster that HttpProtocolOptions took the place of."""
    if cluster.enum("protocol_selection") == "USE_DOWNSTREAM_PROTOCOL":
        settings.protocol = AS_DOWNSTREAM
    elif cluster.has("http2_protocol_options"):
        if cluster.has("http_protocol_options"):
            raise ConfigError(
                "cluster: Both HTTP1 and HTTP2 options may only be configured with non-default 'protocol_selection' "
                "values"
            )
        settings.protocol = HTTP2
    _read_http1(settings, cluster.http_protocol_options)
    with cluster.at("http2_protocol_options"):
        read_http2_options(settings.http2, cluster.http2_protocol_options)


def _read_extension(settings: PoolSettings, options: View) -> None:
    _read_common(settings, options.common_http_protocol_options)
    for entry in options.http_filters:
        _ = entry.name, entry.is_optional  # the type says which filter it is
        if entry.typed_config.type_name != _CODEC:
            entry.reject("typed_config", f"unsupported upstream filter: {entry.typed_config.type_name}")
        entry.typed_config.unpack()
    kind = options.which("upstream_protocol_options") or "explicit_http_config"
    protocols = getattr(options, kind)
    if protocols.has("http3_protocol_options"):
        protocols.reject("http3_protocol_options", _HTTP3)
    if kind == "explicit_http_config":
        settings.protocol = HTTP2 if protocols.has("http2_protocol_options") else HTTP1
    else:
        settings.protocol = BY_ALPN if kind == "auto_config" else AS_DOWNSTREAM
    _read_http1(settings, protocols.http_protocol_options)
    with options.at(kind), protocols.at("http2_protocol_options"):
        read_http2_options(settings.http2, protocols.http2_protocol_options)


def _read_http1(settings: PoolSettings, options: View) -> None:
    options.ignore("ignore_http_11_upgrade", why="it is for what clients ask")
    read_http1_options(settings.http1, options)


def _read_common(settings: PoolSettings, common: View) -> None:
    settings.idle_timeout = common.seconds("idle_timeout", settings.idle_timeout) or 0.0
    settings.max_duration = common.seconds("max_connection_duration", 0.0) or 0.0
    if common.has("max_connection_duration_jitter"):
        settings.max_duration_jitter = common.max_connection_duration_jitter.value
    settings.max_stream_duration = common.seconds("max_stream_duration", 0.0) or 0.0
    settings.max_requests = common.get("max_requests_per_connection", settings.max_requests)
    settings.http1.max_headers = common.get("max_headers_count", settings.http1.max_headers)
    settings.http1.max_head = common.get("max_response_headers_kb", _DEFAULT_HEAD_KB) * 1024
    settings.http2.max_headers = settings.http1.max_headers
    settings.http2.max_head = common.get("max_response_headers_kb", _DEFAULT_HTTP2_HEAD_KB) * 1024
    settings.http1.underscores = settings.http2.underscores = {"REJECT_REQUEST": "reject", "DROP_HEADER": "drop"}.get(
        common.enum("headers_with_underscores_action"), "allow"
    )
