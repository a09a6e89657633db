"""Filters, one file each, named as Envoy names them; reached as ``meshproxy.filters`` and in no other way."""

# One file imported under two names makes two classes of every class in it, and each is unknown to the other.
if __name__ != "meshproxy.filters":
    raise ImportError(f"{__name__!r} must be imported as 'meshproxy.filters'", name=__name__)

# Full name of the configuration message -> "module:Class" below meshproxy.filters, imported when first asked for.
TABLE: dict[str, str] = {
    "envoy.extensions.filters.http.buffer.v3.Buffer": "http.buffer:Buffer",
    "envoy.extensions.filters.http.buffer.v3.BufferPerRoute": "http.buffer:Buffer",
    "envoy.extensions.filters.http.cors.v3.Cors": "http.cors:Cors",
    "envoy.extensions.filters.http.cors.v3.CorsPolicy": "http.cors:Cors",
    "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig": "http.grpc_stats:GrpcStats",
    "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb": "http.grpc_web:GrpcWeb",
    "envoy.extensions.filters.http.fault.v3.HTTPFault": "http.fault:Fault",
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation": "http.header_mutation:HeaderMutation",
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute": "http.header_mutation:HeaderMutation",
    "envoy.extensions.filters.http.header_to_metadata.v3.Config": "http.header_to_metadata:HeaderToMetadata",
    "envoy.extensions.filters.http.health_check.v3.HealthCheck": "http.health_check:HealthCheck",
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit": "http.local_ratelimit:LocalRateLimit",
    "envoy.extensions.filters.http.ratelimit.v3.RateLimit": "http.ratelimit:GlobalRateLimit",
    "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute": "http.ratelimit:GlobalRateLimit",
    "envoy.extensions.filters.http.set_filter_state.v3.Config": "http.set_filter_state:SetFilterState",
    "envoy.extensions.filters.http.set_metadata.v3.Config": "http.set_metadata:SetMetadata",
    "envoy.extensions.filters.network.echo.v3.Echo": "network.echo:Echo",
    "envoy.extensions.filters.network.direct_response.v3.Config": "network.direct_response:DirectResponse",
    "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit": "network.connection_limit:ConnectionLimit",
    "envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit": "network.local_ratelimit:LocalRateLimit",
    "envoy.extensions.filters.network.ratelimit.v3.RateLimit": "network.ratelimit:GlobalRateLimit",
    "envoy.extensions.filters.network.sni_cluster.v3.SniCluster": "network.sni_cluster:SniCluster",
    "envoy.extensions.filters.network.set_filter_state.v3.Config": "network.set_filter_state:SetFilterState",
    "envoy.extensions.filters.listener.original_dst.v3.OriginalDst": "listener.original_dst:OriginalDst",
    "envoy.extensions.filters.listener.original_src.v3.OriginalSrc": "listener.original_src:OriginalSrc",
    "envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit": "listener.local_ratelimit:LocalRateLimit",
    "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol": "listener.proxy_protocol:ProxyProtocol",
    "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector": "listener.tls_inspector:TlsInspector",
    "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector": "listener.http_inspector:HttpInspector",
}
