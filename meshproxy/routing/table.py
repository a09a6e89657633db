"""From a request to its route: the virtual host by domain, then the first route that matches."""

from meshproxy.http.stream import Stream
from meshproxy.routing.route import Route, VirtualHost


class RouteTable:
    """envoy.config.route.v3.RouteConfiguration, compiled."""

    __slots__ = ("_exact", "_wildcard", "name")

    def __init__(self, name: str, hosts: dict[str, VirtualHost]) -> None:
        self.name = name
        self._exact = {domain: host for domain, host in hosts.items() if "*" not in domain}
        self._wildcard = hosts.get("*")

    def match(self, stream: Stream) -> Route | None:
        host = self._exact.get(stream.request.authority) or self._wildcard
        if host is None:
            return None
        stream.virtual_host = host
        for route in host.routes:
            for predicate in route.predicates:
                if not predicate(stream):
                    break
            else:
                return route
        return None
