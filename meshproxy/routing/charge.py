"""Counting responses by status code where Envoy counts them (CodeStats): `upstream_rq_503` and its relatives."""

from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.http.stream import Stream
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.stats import EXTERNAL, INTERNAL

# gRPC statuses that Envoy takes for a server's error (Grpc::Utility::grpcToHttpStatus gives 5xx).
_SERVER_ERRORS = frozenset({"2", "4", "12", "13", "14", "15"})


def origin_of(request: RequestHeaders) -> str:
    """The prefix of a request's stats: from inside the mesh or not."""
    return INTERNAL if request.get("x-envoy-internal") == "true" else EXTERNAL


def charge(
    stream: Stream, cluster: Cluster, endpoint: Endpoint | None, status: int, headers: ResponseHeaders | None = None
) -> None:
    """`headers`: what the upstream answered; None where the answer is ours."""
    stats = cluster.stats
    origin = origin_of(stream.request)
    stats.responses_of(origin).charge(status)
    if (headers is not None and headers.get("x-envoy-upstream-canary") == "true") or (
        endpoint is not None and endpoint.canary
    ):
        stats.responses_of("canary.").charge(status)
    if stream.asked is not None and stream.asked.alternative_stat_name:
        stats.responses_of(f"{stream.asked.alternative_stat_name}.{origin}").charge(status)
    for extra in stream.extra_stats:
        extra.responses.charge(status)
    if endpoint is not None:
        if cluster.local_zone and endpoint.locality[1]:
            stats.responses_of(f"zone.{cluster.local_zone}.{endpoint.locality[1]}.").charge(status)
        if status >= 500:
            endpoint.stats.rq_error += 1


def is_failed_grpc(headers: Headers) -> bool:
    """No status at all is a failure too."""
    status = headers.get("grpc-status")
    return status is None or status in _SERVER_ERRORS
