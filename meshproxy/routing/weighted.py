"""Sharing a route's requests among clusters (envoy.config.route.v3.WeightedCluster)."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from meshproxy.http.stream import Stream
from meshproxy.routing.route import Route


class WeightedChoice:
    """Draws one of `choices` by its weight. A stream that looks its route up again keeps what it drew.

    `header`: the request header whose number takes the place of the random one. `weights_now` gives the weights where
    runtime keys may change them; `hashed` is the hash policy that takes the place of chance.
    """

    __slots__ = ("_bounds", "_choices", "_hashed", "_header", "_weights_now")

    def __init__(
        self,
        choices: Sequence[Route],
        weights: Sequence[int],
        header: str = "",
        weights_now: Callable[[], Sequence[int]] | None = None,
        hashed: Callable[[Stream], int | None] | None = None,
    ) -> None:
        self._choices = tuple(choices)
        self._bounds = tuple(accumulate(weights))
        self._header = header
        self._weights_now = weights_now
        self._hashed = hashed

    def __call__(self, stream: Stream) -> Route:
        bounds = self._bounds
        if self._weights_now is not None:
            bounds = tuple(accumulate(self._weights_now()))
        total = bounds[-1]
        if not total:
            return self._choices[0]
        number = self._number(stream)
        if number is None and self._hashed is not None:
            number = self._hashed(stream)
        if number is None:
            number = stream.random
        return self._choices[bisect_right(bounds, number % total)]

    def _number(self, stream: Stream) -> int | None:
        if not self._header:
            return None
        values = stream.request.get_all(self._header)
        # Of several values none can be trusted to be the one that other hops take.
        if len(values) != 1:
            return None
        digits = values[0].strip(" \t").removeprefix("+")
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 20 else None
