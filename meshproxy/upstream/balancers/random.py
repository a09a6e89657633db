"""Random (envoy.extensions.load_balancing_policies.random)."""

from random import choice
from typing import Any

from meshproxy.upstream.endpoint import Endpoint


class Random:
    """Any endpoint; as in Envoy, weights of endpoints do not count."""

    __slots__ = ("_table",)

    def __init__(self) -> None:
        self._table: list[Endpoint] = []

    def update(self, endpoints: list[Endpoint]) -> None:
        self._table = endpoints

    def pick(self, stream: Any) -> Endpoint | None:
        return choice(self._table) if self._table else None
