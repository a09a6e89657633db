"""Counting responses by status code where Envoy counts them (CodeStats): `upstream_rq_503` and its relatives."""

from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.http.stream import Stream
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.stats import EXTERNAL, INTERNAL, Responses

# gRPC statuses that Envoy takes for a server's error (Grpc::Utility::grpcToHttpStatus gives 5xx).
_SERVER_ERRORS = frozenset({"2", "4", "12", "13", "14", "15"})


def charge(
    stream: Stream, cluster: Cluster, endpoint: Endpoint | None, status: int, headers: ResponseHeaders | None = None
) -> tuple[Responses, ...]:
    """Counts one response. `headers`: what the upstream answered; None where the answer is ours.

    Returns where it was counted, for the time that the response takes.
    """
    if stream.health_check:
        return ()
    if endpoint is not None and status >= 500:
        endpoint.stats.rq_error += 1
    if (
        stream.asked is None and not stream.extra_stats and "x-envoy-internal" not in stream.request.index
        and (endpoint is None or not (endpoint.canary or cluster.local_zone))
        and (headers is None or "x-envoy-upstream-canary" not in headers.index)
    ):  # fmt: skip
        charged = cluster.stats.external()
    else:
        charged = _responses_of(stream, cluster, endpoint, headers)
    for responses in charged:
        codes = responses.codes
        codes[status] = codes.get(status, 0) + 1
    return charged


def _responses_of(
    stream: Stream, cluster: Cluster, endpoint: Endpoint | None, headers: ResponseHeaders | None
) -> tuple[Responses, ...]:
    stats = cluster.stats
    origin = _origin_of(stream.request)
    charged: tuple[Responses, ...] = (stats.responses_of(origin),)
    if endpoint is not None:
        if endpoint.canary or (headers is not None and headers.get("x-envoy-upstream-canary") == "true"):
            charged = (*charged, stats.responses_of("canary."))
        if cluster.local_zone and endpoint.locality[1]:
            charged = (*charged, stats.responses_of(f"zone.{cluster.local_zone}.{endpoint.locality[1]}."))
    if stream.asked is not None and stream.asked.alternative_stat_name:
        charged = (*charged, stats.responses_of(f"{stream.asked.alternative_stat_name}.{origin}"))
    if stream.extra_stats:
        charged = (*charged, *[extra.responses for extra in stream.extra_stats])
    return charged


def _origin_of(request: RequestHeaders) -> str:
    """The prefix of a request's stats: from inside the mesh or not."""
    return INTERNAL if request.get("x-envoy-internal") == "true" else EXTERNAL


def count_grpc(endpoint: Endpoint, headers: Headers) -> None:
    """Counts how a gRPC call ended; `headers` or trailers without any status mean that it failed."""
    status = headers.get("grpc-status")
    if status is None or status in _SERVER_ERRORS:
        endpoint.stats.rq_error += 1
    else:
        endpoint.stats.rq_success += 1
