"""The resources that overload may be about: envoy.resource_monitors.*."""

import os
from collections.abc import Callable
from pathlib import Path

from meshproxy.observe.memory import heap

_CGROUP = Path("/sys/fs/cgroup")


class FixedHeap:
    """The memory of the whole proxy: anonymous and resident, which is what a container's limit is mostly about."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit

    def pressure(self) -> float:
        return heap() / self._limit()


class CgroupMemory:
    """The memory of the cgroup, version 2 or 1. most: bytes, where that is less than the cgroup's own limit; or 0."""

    def __init__(self, most: int, root: Path = _CGROUP) -> None:
        """Raises OSError where there is no cgroup with memory."""
        self._most = most
        for usage, limit in (
            (root / "memory.current", root / "memory.max"),
            (root / "memory/memory.usage_in_bytes", root / "memory/memory.limit_in_bytes"),
        ):
            if usage.exists() and limit.exists():
                self._usage, self._limit = usage, limit
                return
        raise OSError("No supported cgroup memory implementation found")

    def pressure(self) -> float:
        used = int(self._usage.read_text(encoding="ascii"))
        limit = self._limit.read_text(encoding="ascii").strip()
        # Without a limit it says `max`, and in version 1 a number as large as that.
        most = min(self._most or 1 << 63, 1 << 63 if limit == "max" else int(limit))
        return 0.0 if most >= 1 << 62 else used / most


class InjectedResource:
    """A file with a number from 0 to 1, for tests. Raises OSError where there is no such file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.stat()

    def pressure(self) -> float:
        value = float(self._path.read_text(encoding="ascii"))
        if not 0 <= value <= 1:
            raise ValueError("pressure out of range")
        return value


# How much the latest measure counts: Envoy's smoothing.
_DAMPING = 0.05


class CpuOfHost:
    """How busy the machine's cores are, smoothed."""

    def __init__(self, path: Path = Path("/proc/stat")) -> None:
        self._path = path
        self._work, self._total = self._times()
        self._value = 0.0

    def pressure(self) -> float:
        work, total = self._times()
        if total > self._total:
            used = (work - self._work) / (total - self._total)
            self._value = used * _DAMPING + self._value * (1 - _DAMPING)
        self._work, self._total = work, total
        return self._value

    def _times(self) -> tuple[int, int]:
        """Envoy's sums: user, nice and system are work; idle is what else there is."""
        times = [int(each) for each in self._path.read_text(encoding="ascii").split("\n", 1)[0].split()[1:5]]
        return sum(times[:3]), sum(times)


class CpuOfContainer:
    """How much of the processor time that its cgroup, version 2 or 1, may have the container uses, smoothed."""

    def __init__(self, clock: Callable[[], float], root: Path = _CGROUP) -> None:
        self._root = root
        self._clock = clock
        self._used, self._then = 0.0, clock()
        self._value = 0.0

    def pressure(self) -> float:
        used, now = self._seconds(), self._clock()
        if self._used and now > self._then:
            share = (used - self._used) / (now - self._then) / self._cores()
            self._value = min(share, 1.0) * _DAMPING + self._value * (1 - _DAMPING)
        self._used, self._then = used, now
        return self._value

    def _seconds(self) -> float:
        old = self._root / "cpuacct/cpuacct.usage"
        if old.exists():
            return int(old.read_text(encoding="ascii")) / 1e9
        lines = (self._root / "cpu.stat").read_text(encoding="ascii").splitlines()
        return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6

    def _cores(self) -> float:
        """A quota of -1, or `max`, is none."""
        if (old := self._root / "cpu/cpu.cfs_quota_us").exists():
            quota, period = old.read_text(), (self._root / "cpu/cpu.cfs_period_us").read_text()
        else:
            quota, period = (self._root / "cpu.max").read_text().split()
        return len(os.sched_getaffinity(0)) if quota.strip() in ("max", "-1") else int(quota) / int(period)
