"""Random (envoy.extensions.load_balancing_policies.random)."""

from collections.abc import Generator
from typing import Any

from meshproxy.net.randomness import source
from meshproxy.upstream.balancers.table import Table
from meshproxy.upstream.endpoint import Endpoint

_random = source("balancing").random


class Draw:
    """Any endpoint."""

    __slots__ = ("_endpoints",)

    def __init__(self, endpoints: list[Endpoint]) -> None:
        self._endpoints = endpoints

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        endpoints = self._endpoints
        return endpoints[int(_random() * len(endpoints))] if endpoints else None


class Random:
    """As in Envoy, weights of endpoints do not count."""

    __slots__ = ()

    def table(self, endpoints: list[Endpoint], previous: Table | None) -> Generator[None, None, Table]:
        yield
        return Draw(endpoints)
