"""Numbers that every worker sees, for limits that hold for the whole proxy.

While the configuration is built each limit asks for its place. Then, before the first fork, `share` makes the memory: a
row for each worker, which only that worker writes, and some numbers that all write, one at a time. What a worker that
died had taken is in its row, and main clears that.
"""

import mmap
import os
from fcntl import LOCK_EX, LOCK_UN, flock

_SIZE = 8
# What another worker took may not be visible yet: so many at most, by far, of each of them.
_UNSEEN = 8


class SharedNumbers:
    """rows: one of 64-bit integers for each worker, and one for main. mine: that of this process.

    values: floats that belong to nobody alone, to be read and written between `lock` and `unlock`.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.margin = _UNSEEN * (workers - 1)
        self.rows: tuple[memoryview, ...] = ()
        self.mine = memoryview(bytes(_SIZE)).cast("q")
        self.values = memoryview(bytes(_SIZE)).cast("d")
        # This process's.
        self.number = workers
        # The first place tells whether the worker serves.
        self._places = 1
        self._initial: list[float] = []
        self._file = -1
        self._lock = -1

    # ---- before there are workers ----

    def place(self) -> int:
        """A place of its own in every row."""
        return self.places(1)

    def places(self, count: int) -> int:
        """So many of them, one behind the other; the first."""
        self._places += count
        return self._places - count

    def place_values(self, *initial: float) -> int:
        """Places for values, one behind the other; the first of them."""
        self._initial.extend(initial)
        return len(self._initial) - len(initial)

    def share(self) -> None:
        """Makes the memory. Pages that nobody touches are none."""
        row = self._places
        count = max(len(self._initial), 1)
        memory = memoryview(mmap.mmap(-1, _SIZE * (count + row * (self.workers + 1))))
        self.values = memory[: _SIZE * count].cast("d")
        for place, value in enumerate(self._initial):
            if value:
                self.values[place] = value
        ends = range(_SIZE * count, len(memory) + 1 - _SIZE * row, _SIZE * row)
        self.rows = tuple(memory[start : start + _SIZE * row].cast("q") for start in ends[: self.workers + 1])
        self._file = os.memfd_create("limits")
        self.join(self.workers)

    # ---- in each process ----

    @property
    def in_main(self) -> bool:
        return self.number == self.workers

    def join(self, number: int) -> None:
        """This process is that worker. A lock belongs to an open file: each process opens one of its own."""
        self.number = number
        self.mine = self.rows[number]
        self._lock = os.open(f"/proc/self/fd/{self._file}", os.O_RDWR | os.O_CLOEXEC)

    def serve(self) -> None:
        """From now on this worker serves."""
        self.mine[0] = 1

    def serving(self) -> list[int]:
        """The workers that serve."""
        return [number for number in range(self.workers) if self.rows[number][0]]

    def clear(self, number: int) -> None:
        """The worker is gone, and with it all that it had taken."""
        row = self.rows[number].cast("B")
        with self.alone():
            row[:] = bytes(len(row))

    def total(self, place: int) -> int:
        """What all of them have taken."""
        total = 0
        for row in self.rows:
            total += row[place]
        return total

    def lock(self) -> None:
        """Waits until no other process is between this and `unlock`; the kernel lets go of what a dead one held."""
        flock(self._lock, LOCK_EX)

    def unlock(self) -> None:
        flock(self._lock, LOCK_UN)

    def alone(self) -> "SharedNumbers":
        """For `with`: the lock. Not a context manager of contextlib, which takes twice as long as the lock itself."""
        return self

    def __enter__(self) -> None:
        flock(self._lock, LOCK_EX)

    def __exit__(self, *_error: object) -> None:
        flock(self._lock, LOCK_UN)
