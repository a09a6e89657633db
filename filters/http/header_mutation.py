"""Changes headers, trailers and query parameters (envoy.extensions.filters.http.header_mutation.v3)."""

from collections.abc import Sequence
from typing import Any

from meshproxy.api import Headers, HttpFilter, Stream, build_mutations

from .query import QueryMutation, build_query_mutations, mutate_query


class Mutations:
    """One message Mutations, compiled."""

    __slots__ = ("query", "request", "request_trailers", "response", "response_trailers")

    def __init__(self, config: Any, ctx: Any) -> None:
        self.request = build_mutations(config, "request_mutations", ctx)
        self.query: tuple[QueryMutation, ...] = build_query_mutations(config)
        self.response = build_mutations(config, "response_mutations", ctx)
        self.request_trailers = build_mutations(config, "request_trailers_mutations", ctx)
        self.response_trailers = build_mutations(config, "response_trailers_mutations", ctx)


class HeaderMutation(HttpFilter):
    """levels: the filter's own mutations, then those of the route's levels, in the order in which they are applied."""

    def __init__(self, levels: Sequence[Mutations], most_specific_wins: bool) -> None:
        self._levels = levels
        self._most_specific_wins = most_specific_wins

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "HeaderMutation":
        return cls([Mutations(config.mutations, ctx)], config.most_specific_header_mutations_wins)

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> Mutations:
        return Mutations(config.mutations, ctx)

    def for_levels(self, overrides: list[Mutations]) -> "HeaderMutation":
        levels = overrides[::-1] if self._most_specific_wins else overrides
        return HeaderMutation([*self._levels, *levels], self._most_specific_wins)

    def on_request_headers(self, stream: Stream, end: bool) -> None:
        for level in self._levels:
            for mutate in level.request:
                mutate(stream, stream.request)
            if level.query:
                mutate_query(stream, level.query)

    def on_request_trailers(self, stream: Stream) -> None:
        trailers = stream.request_trailers
        for level in self._levels:
            _apply(level.request_trailers, stream, trailers)

    def on_response_headers(self, stream: Stream, end: bool) -> None:
        for level in self._levels:
            _apply(level.response, stream, stream.response)

    def on_response_trailers(self, stream: Stream) -> None:
        trailers = stream.response_trailers
        for level in self._levels:
            _apply(level.response_trailers, stream, trailers)


def _apply(mutations: Sequence[Any], stream: Stream, headers: Headers | None) -> None:
    for mutate in mutations:
        mutate(stream, headers)
