"""What a route makes of the path and the host before it forwards or redirects.

A rewrite is called with the stream and whether to leave the old value in x-envoy-original-path or -host.
"""

from collections.abc import Callable

from meshproxy.http.headers import RequestHeaders
from meshproxy.http.stream import Stream
from meshproxy.routing.path_match import fold_case, without_query

PathRewrite = Callable[[Stream, bool], None]
# The stream and its path without query -> the new path, or None to leave it.
PathChange = Callable[[Stream, str], str | None]


def rewrite_path(change: PathChange) -> PathRewrite:
    """A rewrite that keeps the query."""

    def rewrite(stream: Stream, keep_original: bool) -> None:
        request = stream.request
        whole = request.path
        path = without_query(whole)
        changed = change(stream, path)
        if changed is None:
            return
        if keep_original:
            request.set("x-envoy-original-path", whole)
        request.path = changed + whole[len(path) :]

    return rewrite


def replace_prefix(prefix: str, fold: bool, text: str) -> PathChange:
    """prefix_rewrite: `text` in place of the prefix or path that the route matched, if that is what stands there: a
    filter, or parameters that matching ignores, may have come between."""
    size = len(prefix)
    if fold:
        prefix = fold_case(prefix)
        return lambda _stream, path: text + path[size:] if fold_case(path[:size]) == prefix else None
    return lambda _stream, path: text + path[size:] if path.startswith(prefix) else None


def replace_path(text: str) -> PathChange:
    """prefix_rewrite of a route that matches by regex or CONNECT: the whole path is what matched."""
    return lambda _stream, _path: text


class HostRewrite:
    """Sets the host to what `choose` gives; "" leaves it. Envoy's updateAuthority."""

    __slots__ = ("append_forwarded_host", "choose")

    def __init__(self, choose: Callable[[Stream], str], append_forwarded_host: bool) -> None:
        self.choose = choose
        self.append_forwarded_host = append_forwarded_host

    def __call__(self, stream: Stream, keep_original: bool) -> None:
        host = self.choose(stream)
        if host:
            set_host(stream.request, host, self.append_forwarded_host, keep_original)


def set_host(request: RequestHeaders, host: str, append_forwarded_host: bool, keep_original: bool) -> None:
    """Replaces the host and remembers the old one in the headers that the route asks for."""
    old = request.authority
    if keep_original:
        request.set("x-envoy-original-host", old)
    if append_forwarded_host and old:
        known = request.get("x-forwarded-host")
        if not known:
            request.set("x-forwarded-host", old)
        elif [part for part in known.split(",") if part][-1:] != [old]:
            request.set("x-forwarded-host", f"{known},{old}")
    request.authority = host
