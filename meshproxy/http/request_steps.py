"""What a request goes through before its route is looked up, as steps that are put together when configuration arrives.

The order is Envoy's (ConnectionManagerImpl::decodeHeaders, ConnectionManagerUtility::mutateRequestHeaders), because
operators see it: in what an upstream receives, and in which answer wins. An option that is off has no step.

A step gives None to go on, or the answer.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from meshproxy.http.client_address import Detection, Ranges, last_forwarded
from meshproxy.http.filter import LocalReply
from meshproxy.http.grpc import is_grpc
from meshproxy.http.headers import Headers, RequestHeaders
from meshproxy.http.mutations import Mutation
from meshproxy.http.paths import merge_slashes, normalise_path, strip_port, strip_trailing_dot, unescape_slashes
from meshproxy.http.request_id import clear_trace_reason, new_request_id

if TYPE_CHECKING:
    from meshproxy.downstream.http_stats import HttpStats
    from meshproxy.http.stream import Stream

Step = Callable[["Stream"], LocalReply | None]

# Nobody outside may say these: they steer the router and the tracer.
INTERNAL = frozenset(
    "x-envoy-retriable-status-codes x-envoy-retriable-header-names x-envoy-retry-on x-envoy-retry-grpc-on "
    "x-envoy-max-retries x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-timeout-ms "
    "x-envoy-upstream-rq-per-try-timeout-ms x-envoy-upstream-rq-timeout-alt-response "
    "x-envoy-expected-rq-timeout-ms x-envoy-force-trace x-envoy-ip-tags x-envoy-original-url "
    "x-envoy-hedge-on-per-try-timeout".split()
)
EDGE = frozenset(
    "x-envoy-decorator-operation x-envoy-downstream-service-cluster x-envoy-downstream-service-node "
    "x-envoy-original-host x-envoy-original-path".split()
)
ALWAYS_REMOVED = frozenset({"x-envoy-internal"})

_HTTP = ("x-forwarded-proto", "http")
_HTTPS = ("x-forwarded-proto", "https")

# A URL without user and fragment, or something relative to one (RFC 9110 §10.1.3).
_REFERER = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.\-]*://[^\0- /?#@\x7f-\xff]+(?![^/?])|[!$-&'()*+,\-.;=?@_~0-9A-Za-z]*(?![^/]))"
    r"[!$-/0-9:;=?@A-Z_a-z~]*\Z"
)


def shortcut(steps: Sequence[Step], looked_at: frozenset[str]) -> Step:
    """`steps` (those of a proxy that is not at the edge) for requests with one of the headers `looked_at`. All others
    only get x-forwarded-proto and x-request-id: known in advance, and 1 µs cheaper."""
    plain = looked_at.isdisjoint

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        index = request.index
        if plain(index):
            request_id = index["x-request-id"] = new_request_id()
            pair = _HTTP
            if stream.connection.tls is not None:
                pair = _HTTPS
                if stream.protocol != "HTTP/2":
                    request.scheme = "https"
            index["x-forwarded-proto"] = pair[1]
            request.pairs += (pair, ("x-request-id", request_id))
            return None
        for each in steps:
            reply = each(stream)
            if reply is not None:
                return reply
        return None

    return step


# ---- the path and the host ----


def check_path(stats: "HttpStats", reject_fragments: Callable[[], bool] = lambda: True) -> Step:
    """Refuses targets that are no path, and those with a fragment (unless runtime says now that they go)."""

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        path = request.path
        if not path.startswith("/"):
            if not path:
                return None if request.method == "CONNECT" else LocalReply(404, b"", "missing_path_rejected")
            stats.downstream_rq_non_relative_path += 1
            return LocalReply(404, b"", "absolute_path_rejected")
        if "#" in path:
            if reject_fragments():
                return _path_failed(stats, request)
            request.path = path.partition("#")[0]
        return None

    return step


def _path_failed(stats: "HttpStats", request: RequestHeaders) -> LocalReply:
    # As in Envoy, which learns the scheme later: logs and sizes do not have it.
    request.scheme = ""
    stats.downstream_rq_failed_path_normalization += 1
    return LocalReply(400, b"", "path_normalization_failed")


def clean_path(stats: "HttpStats", slashes: str, normalise: bool, merge: bool) -> Step:
    """normalize_path, merge_slashes and path_with_escaped_slashes_action (`slashes`: its name, or KEEP_UNCHANGED)."""

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        path = request.path
        if not path:
            return None
        redirect = False
        if slashes != "KEEP_UNCHANGED":
            plain = unescape_slashes(path)
            if plain != path:
                request.path = plain
                if slashes == "REJECT_REQUEST":
                    return _path_failed(stats, request)
                redirect = slashes == "UNESCAPE_AND_REDIRECT"
                path = plain
        if normalise:
            normal = normalise_path(path)
            if normal is None:
                return _path_failed(stats, request)
            path = normal
        request.path = merge_slashes(path) if merge else path
        return _redirect(stats, request) if redirect else None

    return step


def _redirect(stats: "HttpStats", request: RequestHeaders) -> LocalReply:
    # gRPC clients follow no redirects.
    if is_grpc(request):
        return _path_failed(stats, request)
    request.scheme = ""
    stats.downstream_rq_redirected_with_normalized_path += 1
    return LocalReply(307, b"", "path_normalization_failed", headers=[("location", request.path)])


def clean_host(trailing_dot: bool, port: str) -> Step:
    """strip_trailing_host_dot, and the port of the host: `port` is "any", "matching" (that of the listener) or ""."""

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        host = request.authority
        if trailing_dot:
            host = strip_trailing_dot(host)
        if port:
            host = strip_port(host, stream.connection.local[1] if port == "matching" else None)
        if request.method == "CONNECT":
            # The target is not whole without its port: routes are matched without it, the upstream is told all.
            stream.connect_authority = request.authority
        request.authority = host
        return None

    return step


# ---- headers ----


def mutate_early(mutations: tuple[Mutation, ...]) -> Step:
    """early_header_mutation_extensions: before the proxy looks at the headers itself."""

    def step(stream: "Stream") -> LocalReply | None:
        for mutate in mutations:
            mutate(stream, stream.request)
        return None

    return step


def remove_headers(names: frozenset[str]) -> Step:
    """Removes headers that nobody in front may set, and a Referer that is no URL."""
    disjoint = (names | {"referer"}).isdisjoint

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        index = request.index
        if disjoint(index):
            return None
        if "referer" in index and not _REFERER.match(index["referer"]):
            request.remove("referer")
        request.remove_if(names)
        return None

    return step


def use_remote_address(
    hops: int, append: bool, forward_port: bool, local_address: str, mapped: bool, may_trust: bool
) -> Step:
    """The peer is the client, or the first untrusted of the proxies in front (use_remote_address).

    `append` unless skip_xff_append; `local_address` stands for a loopback peer; `mapped`: IPv4 as ::ffff:a.b.c.d;
    `may_trust`: some addresses are internal.
    """

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        connection = stream.connection
        forwarded = request.get("x-forwarded-for")
        stream.internal = may_trust and forwarded is None
        if hops and forwarded is not None:
            address, _ = last_forwarded(forwarded, hops - 1)
            if address is not None:
                stream.peer = (address, 0)
        if append:
            append_peer(request, connection.peer[0], local_address, mapped)
        if not hops or "x-forwarded-proto" not in request.index:
            request.set("x-forwarded-proto", "https" if connection.tls is not None else "http")
        if forward_port and (not hops or "x-forwarded-port" not in request.index):
            request.set("x-forwarded-port", str(connection.local[1]))
        return None

    return step


def append_peer(request: RequestHeaders, host: str, local_address: str, mapped: bool) -> None:
    """The peer at the end of x-forwarded-for. A unix socket has no address to tell."""
    if not host or host[0] in "/@":
        return
    if host == "::1" or host.startswith("127."):
        host = local_address
    elif mapped and ":" not in host:
        host = f"::ffff:{host}"
    request.append("x-forwarded-for", host)


def detect_address(
    detections: Sequence[Detection], stats: "HttpStats", local_address: str, mapped: bool, may_trust: bool
) -> Step:
    """The client is whom a trusted proxy in front says it is (original_ip_detection_extensions)."""

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        peer = stream.connection.peer[0]
        for detect in detections:
            found = detect(request, peer)
            if found.reject is not None:
                stats.downstream_rq_rejected_via_ip_detection += 1
                return found.reject
            if found.append:
                append_peer(request, peer, local_address, mapped)
            if found.address is not None:
                stream.peer = (found.address, 0)
                stream.internal = may_trust and found.trusted
                break
        return None

    return step


def detect_forwarded(hops: int, may_trust: bool) -> Step:
    """The same for the default: x-forwarded-for behind xff_num_trusted_hops proxies, to which nothing is appended."""

    def step(stream: "Stream") -> LocalReply | None:
        forwarded = stream.request.index.get("x-forwarded-for")
        if forwarded is not None:
            address, single = last_forwarded(forwarded, hops)
            if address is not None:
                stream.peer = (address, 0)
                stream.internal = may_trust and single
        return None

    return step


def forwarded_proto(forward_port: bool) -> Step:
    """x-forwarded-proto (and -port) where nobody in front has set it; otherwise it tells the scheme."""

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        proto = request.index.get("x-forwarded-proto")
        if proto is None:
            pair = _HTTP if stream.connection.tls is None else _HTTPS
            proto = pair[1]
            request.add_new(pair)
        if forward_port and "x-forwarded-port" not in request.index:
            request.add("x-forwarded-port", str(stream.connection.local[1]))
        if proto != "http" and stream.protocol != "HTTP/2":
            known = proto.isascii() and proto.lower() in ("http", "https")
            request.scheme = proto if known else "http" if stream.connection.tls is None else "https"
        return None

    return step


def overwrite_scheme(scheme: str) -> Step:
    """scheme_header_transformation.scheme_to_overwrite."""

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        request.scheme = scheme
        request.set("x-forwarded-proto", scheme)
        return None

    return step


def judge_origin(internal: Ranges, unix_internal: bool, external: frozenset[str]) -> Step:
    """x-envoy-internal for requests from inside; others lose the headers `external` (internal_address_config)."""

    def step(stream: "Stream") -> LocalReply | None:
        host = stream.peer[0]
        if stream.internal:
            stream.internal = unix_internal if not host or host[0] in "/@" else host in internal
        if stream.internal:
            stream.request.set("x-envoy-internal", "true")
        else:
            stream.request.remove_if(external)
        return None

    return step


def add_user_agent(cluster: str, node: str) -> Step:
    """add_user_agent: who forwards this."""

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        request.set("x-envoy-downstream-service-cluster", cluster)
        if not request.get("user-agent"):
            request.set("user-agent", cluster)
        if node:
            request.set("x-envoy-downstream-service-node", node)
        return None

    return step


def append_via(via: str) -> Step:
    """Our name in the list of those that forwarded the request."""

    def step(stream: "Stream") -> LocalReply | None:
        add_via(stream.request, via)
        return None

    return step


def add_via(headers: Headers, via: str) -> None:
    """Via is a list with a blank behind each comma, as Envoy writes it."""
    known = headers.get("via")
    headers.set("via", f"{known}, {via}" if known else via)


def external_address(stream: "Stream") -> LocalReply | None:
    """x-envoy-external-address: the client, seen from the edge (only with use_remote_address)."""
    host = stream.peer[0]
    if not stream.internal and host and host[0] not in "/@":
        stream.request.set("x-envoy-external-address", host)
    return None


def make_request_id(stream: "Stream") -> LocalReply | None:
    """x-request-id where there is none (generate_request_id behind a trusted proxy)."""
    request = stream.request
    if "x-request-id" not in request.index:
        request.add_new(("x-request-id", new_request_id()))
    return None


def replace_request_id(preserve: bool, reset_trace: bool) -> Step:
    """The same at the edge: an id from outside is replaced, unless preserve_external_request_id."""

    def step(stream: "Stream") -> LocalReply | None:
        request = stream.request
        known = request.get("x-request-id")
        if known is None or (not preserve and not stream.internal):
            request.set("x-request-id", new_request_id())
        elif reset_trace and not stream.internal:
            request.set("x-request-id", clear_trace_reason(known))
        return None

    return step
