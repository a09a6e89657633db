"""Somebody else has chosen already: endpoints that a header or a filter names go first (OverrideHost)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.priorities import Balancer, Pick

# From a stream to addresses, "10.0.0.1:80,10.0.0.2:80"; None where it names none.
Names = Callable[[Any], str | None]


class OverrideHost:
    """fallback: what picks where none that was named is there, or all have been tried.

    named: in order; the endpoints of all of them are tried one after the other, one for each try. note: told of what
    was picked. As in Envoy, neither health nor priority of a named endpoint counts.
    """

    __slots__ = ("_by_address", "_fallback", "_named", "_note", "pick")

    def __init__(
        self, fallback: Balancer, named: Sequence[Names], note: Callable[[Any, str], None] | None = None
    ) -> None:
        self._fallback = fallback
        self._named = tuple(named)
        self._note = note
        self._by_address: dict[str, Endpoint] = {}
        self.pick: Pick = self._pick

    def update(self, endpoints: list[Endpoint]) -> None:
        for _ in self.rebuild(endpoints):
            pass

    def rebuild(self, endpoints: list[Endpoint]) -> Iterator[None]:
        yield from self._fallback.rebuild(endpoints)
        self._by_address = {endpoint.address_text: endpoint for endpoint in endpoints}

    def _pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        if getattr(stream, "request", None) is None:
            # A TCP connection: nobody names anything for it.
            return self._fallback.pick(stream, attempt)
        endpoint = self._next_named(stream) or self._fallback.pick(stream, attempt)
        if endpoint is not None and self._note is not None:
            self._note(stream, endpoint.address_text)
        return endpoint

    def _next_named(self, stream: Any) -> Endpoint | None:
        left: Iterator[str] | None = stream.kept(self)
        if left is None:
            texts = [text for names in self._named if (text := names(stream))]
            left = iter([word for text in texts for each in text.split(",") if (word := each.strip(" \t"))])
            stream.keep(self, left)
        for address in left:
            endpoint = self._by_address.get(address)
            if endpoint is not None:
                return endpoint
        return None
