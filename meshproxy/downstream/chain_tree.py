"""Which filter chain serves a connection, where a matcher tree says it (envoy.config.listener.v3.Listener)."""

from collections.abc import Callable

from meshproxy.downstream.chain_match import C, ChainMatcher
from meshproxy.net.connection import Connection


class ChainTree(ChainMatcher[C]):
    """`name_of` gives the name of a chain, or None for the default one. Where no chain has the name, none serves."""

    def __init__(
        self, chains: dict[str, C], default: C | None, name_of: Callable[[Connection], str | None]
    ) -> None:
        super().__init__([], default)
        self.only = None
        self._chains = list(chains.values())
        self._by_name = chains
        self._name_of = name_of

    def find(self, connection: Connection) -> C | None:
        name = self._name_of(connection)
        return self.default if name is None else self._by_name.get(name)
