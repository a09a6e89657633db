"""Round robin (envoy.extensions.load_balancing_policies.round_robin)."""

from typing import Any

from meshproxy.upstream.endpoint import Endpoint


class RoundRobin:
    """Every healthy endpoint in turn."""

    __slots__ = ("_at", "_table")

    def __init__(self) -> None:
        self._table: list[Endpoint] = []
        self._at = 0

    def update(self, endpoints: list[Endpoint]) -> None:
        self._table = [endpoint for endpoint in endpoints if endpoint.healthy]

    def pick(self, stream: Any) -> Endpoint | None:
        table = self._table
        if not table:
            return None
        at = self._at + 1
        self._at = at
        return table[at % len(table)]
