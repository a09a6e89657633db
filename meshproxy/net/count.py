"""How much of something is in use, where the whole proxy may use only so much of it."""

from meshproxy.net.shared_numbers import SharedNumbers

UNLIMITED = (1 << 64) - 1


class Count:
    """With one worker: plain integers. own: what this process has taken."""

    __slots__ = ("maximum", "own")

    # Whether this process is the one that tells operators about it: with workers, that is main.
    shown_here = True
    # Whether this process is one that takes: with workers, those are they.
    counts_here = True

    def __init__(self, maximum: int = UNLIMITED) -> None:
        self.maximum = maximum
        # As the numbers of observe/stats.py, it is False until something touches it.
        self.own: int = False

    def take(self) -> bool:
        """One more; False, and none taken, where all are in use."""
        if self.own >= self.maximum:
            return False
        self.own += 1
        return True

    def add(self) -> None:
        """One more, whatever the limit says."""
        self.own += 1

    def give(self) -> None:
        """One less."""
        self.own -= 1

    @property
    def total(self) -> int:
        """What the whole proxy has taken."""
        return self.own


class SharedCount(Count):
    """With more workers: each has its number in a row of its own, and the sum is what counts.

    A worker first shows that it takes one, and then adds up: so two cannot take the last one and miss each other. Where
    that leaves a doubt, because few are left, they decide one at a time.
    """

    __slots__ = ("_numbers", "_place")

    def __init__(self, maximum: int, numbers: SharedNumbers, place: int | None = None) -> None:
        """place: one that was asked for before; None asks for it."""
        self._numbers = numbers
        self._place = numbers.place() if place is None else place
        self.maximum = maximum

    def take(self) -> bool:
        numbers = self._numbers
        place = self._place
        mine = numbers.mine
        mine[place] += 1
        total = numbers.margin
        for row in numbers.rows:
            total += row[place]
        if total <= self.maximum:
            return True
        mine[place] -= 1
        with numbers.alone():
            if numbers.total(place) >= self.maximum:
                return False
            mine[place] += 1
            return True

    def add(self) -> None:
        self._numbers.mine[self._place] += 1

    def give(self) -> None:
        self._numbers.mine[self._place] -= 1

    @property
    def shown_here(self) -> bool:  # type: ignore[override]
        return self._numbers.in_main

    @property
    def counts_here(self) -> bool:  # type: ignore[override]
        return not self._numbers.in_main

    @property
    def own(self) -> int:  # type: ignore[override]
        return self._numbers.mine[self._place]

    @property
    def total(self) -> int:
        return self._numbers.total(self._place)


class Counts:
    """Makes counts and knows whether they are shared. numbers: None with one worker."""

    def __init__(self, numbers: SharedNumbers | None = None) -> None:
        self.numbers = numbers

    def make(self, maximum: int = UNLIMITED) -> Count:
        return Count(maximum) if self.numbers is None else SharedCount(maximum, self.numbers)
