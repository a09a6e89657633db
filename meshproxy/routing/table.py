"""From a request to its route: the virtual host by domain, then the first route that matches."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from meshproxy.http.headers import RequestHeaders
from meshproxy.http.stream import Stream
from meshproxy.routing.index import RouteIndex
from meshproxy.routing.path_match import PathMatch, fold_case, without_parameters, without_query
from meshproxy.routing.rate_limits import RateLimit
from meshproxy.routing.route import Route

if TYPE_CHECKING:
    from meshproxy.routing.stats import VirtualCluster


class VirtualHost:
    """Routes for some domains; first match wins.

    `tls_redirect`: where requests go that did not come over TLS, if the host requires it; of `tls_external_only`, not
    those that are internal to the mesh.
    """

    __slots__ = ("choose_index", "ignore_path_parameters", "index", "metadata", "name", "rate_limits", "routes",
                 "tls_external_only", "tls_redirect", "virtual_clusters")  # fmt: skip

    def __init__(self, name: str, entries: Iterable[tuple[PathMatch, Route]]) -> None:
        entries = list(entries)
        self.name = name
        self.routes = tuple(route for _, route in entries)
        self.index = RouteIndex(entries)
        # Where a matcher tree chooses the routes that are tried, in place of `index`.
        self.choose_index: Callable[[Stream], RouteIndex | None] | None = None
        self.metadata: dict[str, Any] = {}
        # What follows a `;` in a segment is no part of the path that routes are matched against.
        self.ignore_path_parameters = False
        self.tls_redirect: Route | None = None
        self.tls_external_only = False
        self.virtual_clusters: tuple[VirtualCluster, ...] = ()
        self.rate_limits: tuple[RateLimit, ...] = ()

    def find(self, stream: Stream, request: RequestHeaders) -> Route | None:
        if self.tls_redirect is not None and self._needs_tls(request):
            return self.tls_redirect
        path = without_query(request.path)
        if self.ignore_path_parameters:
            path = without_parameters(path)
        index = self.index if self.choose_index is None else self.choose_index(stream)
        if index is None:
            return None
        route = index.find(stream, path)
        return route if route is None or route.choose is None else route.choose(stream)

    def _needs_tls(self, request: RequestHeaders) -> bool:
        if request.get("x-forwarded-proto") == "https":
            return False
        return not self.tls_external_only or request.get("x-envoy-internal") != "true"


class RouteTable:
    """envoy.config.route.v3.RouteConfiguration, compiled.

    `domains` -> host; keys are exact names, `*.suffix`, `prefix.*` or `*`, in any case. `host_header` (lower case) is
    read in place of :authority where it is set.
    """

    __slots__ = ("_default", "_exact", "_host_header", "_ignore_port", "_plain", "_prefixes", "_suffixes", "hosts",
                 "internal_only_headers", "metadata", "name")  # fmt: skip

    def __init__(
        self, name: str, domains: dict[str, VirtualHost], *, ignore_port: bool = False, host_header: str = ""
    ) -> None:
        self.name = name
        self.metadata: dict[str, Any] = {}
        # Removed from the requests of external callers by the manager.
        self.internal_only_headers: frozenset[str] = frozenset()
        self.hosts = tuple(dict.fromkeys(domains.values()))
        folded = {fold_case(domain): host for domain, host in domains.items()}
        self._default = folded.pop("*", None)
        suffixes = {domain[1:]: host for domain, host in folded.items() if domain[:1] == "*"}
        prefixes = {domain[:-1]: host for domain, host in folded.items() if domain[:1] != "*" and domain[-1:] == "*"}
        self._exact = {domain: host for domain, host in folded.items() if "*" not in (domain[:1], domain[-1:])}
        self._suffixes = _longest_first(suffixes)
        self._prefixes = _longest_first(prefixes)
        self._ignore_port = ignore_port
        self._host_header = host_header
        # Every request goes to the one host there is.
        self._plain = not folded

    def match(self, stream: Stream) -> Route | None:
        """The route of a stream, whose `virtual_host` is set; None where nothing takes it."""
        request = stream.request
        host = self._default if self._plain else self._find_host(request)
        stream.virtual_host = host
        return None if host is None else host.find(stream, request)

    def all_routes(self) -> Iterator[Route]:
        """Every route that a stream can get."""
        for host in self.hosts:
            for route in host.routes:
                yield from route.choices or (route,)

    def _find_host(self, request: RequestHeaders) -> VirtualHost | None:
        name = request.authority
        if self._host_header:
            value = request.get(self._host_header)
            if value is None:
                return None
            name = value
        if self._ignore_port and ":" in name:
            name = _without_port(name)
        host = self._exact.get(name)
        if host is not None:
            return host
        name = fold_case(name)
        host = self._exact.get(name)
        if host is not None:
            return host
        length = len(name)
        # A * stands for at least one character.
        for size, table in self._suffixes:
            if size < length and (host := table.get(name[-size:])) is not None:
                return host
        for size, table in self._prefixes:
            if size < length and (host := table.get(name[:size])) is not None:
                return host
        return self._default


def _without_port(name: str) -> str:
    """The host without what follows its last colon, unless that lies inside the brackets of an IPv6 address."""
    colon = name.rfind(":")
    return name[:colon] if colon > name.rfind("]") else name


def _longest_first(table: dict[str, VirtualHost]) -> tuple[tuple[int, dict[str, VirtualHost]], ...]:
    lengths = sorted({len(text) for text in table}, reverse=True)
    return tuple((size, {text: host for text, host in table.items() if len(text) == size}) for size in lengths)
