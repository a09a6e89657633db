"""What became of an endpoint's exchanges: how many of how many went well, and how many failed in a row.

Origins: what the endpoint answered is external; what kept us from an answer (no connection, no time) is local, where
the two are told apart. With workers the numbers are in memory that they share (`SharedTally`): failures in a row are
those of all of them, in whatever worker they come.
"""

from collections import deque

from meshproxy.net.shared_numbers import SharedNumbers

# Of each endpoint in a worker's row: all exchanges and good ones, external and local.
_ROW = 4
# And what belongs to all workers: failures in a row of three kinds.
_SERIES = 3
# The kinds of series.
ERRORS, GATEWAY_ERRORS, LOCAL_ERRORS = range(_SERIES)


class Tally:
    """Of one process."""

    __slots__ = ("_good", "_local_good", "_local_total", "_seen", "_series", "_total")

    def __init__(self) -> None:
        self._total = self._good = self._local_total = self._local_good = 0
        self._series = [0] * _SERIES
        self._seen = (0, 0, 0, 0)

    def good(self) -> None:
        self._total += 1
        self._good += 1
        if self._series[ERRORS]:
            self._series[ERRORS] = self._series[GATEWAY_ERRORS] = 0

    def bad(self, gateway: bool) -> tuple[int, int]:
        """The lengths of the series now: all errors, and those of gateways (0 where this is none)."""
        self._total += 1
        series = self._series
        series[ERRORS] += 1
        series[GATEWAY_ERRORS] = series[GATEWAY_ERRORS] + 1 if gateway else 0
        return series[ERRORS], series[GATEWAY_ERRORS]

    def local_good(self) -> None:
        self._local_total += 1
        self._local_good += 1
        self._series[LOCAL_ERRORS] = 0

    def local_bad(self) -> int:
        """How many in a row there are now."""
        self._local_total += 1
        self._series[LOCAL_ERRORS] += 1
        return self._series[LOCAL_ERRORS]

    def end_series(self, *kinds: int) -> None:
        for kind in kinds:
            self._series[kind] = 0

    def since_last(self) -> tuple[int, int, int, int]:
        """All and good ones, external and local, since this was last asked."""
        before, self._seen = self._seen, self._now()
        # A worker that died has taken its part with it.
        a, b, c, d = [max(0, now - then) for now, then in zip(self._seen, before, strict=True)]
        return a, b, c, d

    def _now(self) -> tuple[int, int, int, int]:
        return self._total, self._good, self._local_total, self._local_good


class SharedTally(Tally):
    """place: where the numbers are in each row; series: where those are that belong to all."""

    __slots__ = ("_numbers", "_place", "_series_place", "slot")

    def __init__(self, numbers: SharedNumbers, place: int, series: int, slot: int) -> None:
        self.slot = slot
        self._numbers = numbers
        self._place = place + _ROW * slot
        self._series_place = series + _SERIES * slot
        self._seen = (0, 0, 0, 0)

    def good(self) -> None:
        numbers, place = self._numbers, self._place
        mine = numbers.mine
        mine[place] += 1
        mine[place + 1] += 1
        if numbers.values[self._series_place + ERRORS]:
            self.end_series(ERRORS, GATEWAY_ERRORS)

    def bad(self, gateway: bool) -> tuple[int, int]:
        numbers, at = self._numbers, self._series_place
        numbers.mine[self._place] += 1
        values = numbers.values
        with numbers.alone():
            values[at + ERRORS] += 1
            values[at + GATEWAY_ERRORS] = values[at + GATEWAY_ERRORS] + 1 if gateway else 0
            return int(values[at + ERRORS]), int(values[at + GATEWAY_ERRORS])

    def local_good(self) -> None:
        numbers, place = self._numbers, self._place
        mine = numbers.mine
        mine[place + 2] += 1
        mine[place + 3] += 1
        if numbers.values[self._series_place + LOCAL_ERRORS]:
            self.end_series(LOCAL_ERRORS)

    def local_bad(self) -> int:
        numbers, at = self._numbers, self._series_place + LOCAL_ERRORS
        numbers.mine[self._place + 2] += 1
        with numbers.alone():
            numbers.values[at] += 1
            return int(numbers.values[at])

    def end_series(self, *kinds: int) -> None:
        with self._numbers.alone():
            for kind in kinds:
                self._numbers.values[self._series_place + kind] = 0

    def _now(self) -> tuple[int, int, int, int]:
        total, place = self._numbers.total, self._place
        return total(place), total(place + 1), total(place + 2), total(place + 3)


class Tallies:
    """Gives every endpoint of a cluster its tally. numbers: None with one worker.

    size: of how many endpoints the numbers are shared. Main says which endpoint has which slot; what it has not spoken
    of, and what is beyond the size, each worker counts by itself.
    """

    def __init__(self, numbers: SharedNumbers | None, size: int) -> None:
        self._numbers = numbers
        self._place = self._series = 0
        self._free: deque[int] = deque()
        if numbers is not None:
            self._place = numbers.places(_ROW * size)
            self._series = numbers.place_values(*[0.0] * (_SERIES * size))
            self._free.extend(range(size))

    def take(self) -> Tally:
        """For an endpoint that is new in main. What others have used is used again as late as may be."""
        return self.at(self._free.popleft()) if self._free else Tally()

    def at(self, slot: int) -> Tally:
        assert self._numbers is not None
        tally = SharedTally(self._numbers, self._place, self._series, slot)
        if self._numbers.rows:
            tally.since_last()
        return tally

    def give(self, tally: Tally) -> None:
        """The endpoint is gone."""
        if isinstance(tally, SharedTally):
            tally.end_series(ERRORS, GATEWAY_ERRORS, LOCAL_ERRORS)
            self._free.append(tally.slot)
