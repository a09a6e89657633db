"""Resources are measured, and actions follow."""

import asyncio
from pathlib import Path

import pytest

from meshproxy.downstream.overload import Action, ActionStats, Overload, ShedPoint
from meshproxy.downstream.overload_manager import OverloadManager, Resource, Trigger
from meshproxy.downstream.resource_monitors import (
    CgroupMemory,
    CpuOfContainer,
    CpuOfHost,
    FixedHeap,
    InjectedResource,
)


class Given:
    def __init__(self) -> None:
        self.value = 0.0

    def pressure(self) -> float:
        if self.value < 0:
            raise ValueError("nobody knows")
        return self.value


class Managed:
    """A manager with one resource, an action that scales from 0.5 to 0.9, and a point with a threshold of 0.7."""

    def __init__(self) -> None:
        self.given = Given()
        self.overload = Overload()
        self.overload.actions = {"act": Action(), "point": ShedPoint()}
        self.manager = OverloadManager(self.overload)
        resource = Resource("r", self.given)
        self.manager.resources = [resource]
        self.manager.triggers = {"act": [Trigger(resource, 0.5, 0.9)], "point": [Trigger(resource, 0.7, 0.7)]}
        self.manager.stats = {"act": ActionStats()}
        self.told: list[dict[str, float]] = []
        self.loop = asyncio.new_event_loop()
        self.manager.start(self.loop, self.told.append)

    def measure(self, pressure: float) -> dict[str, float]:
        self.given.value = pressure
        self.manager.close()
        self.manager.refresh()
        return {name: round(value, 3) for name, value in self.overload.values().items()}


@pytest.mark.parametrize(
    ("pressure", "act", "point"),
    [(0.0, 0, 0), (0.5, 0, 0), (0.6, 0.25, 0), (0.7, 0.5, 1), (0.9, 1, 1), (1.5, 1, 1)],
)
def test_how_much_follows_from_a_pressure(pressure: float, act: float, point: float) -> None:
    assert Managed().measure(pressure) == {"act": act, "point": point}


def test_others_are_told_of_what_has_changed() -> None:
    managed = Managed()
    for pressure in (0.0, 0.9, 0.95, 0.8):
        managed.measure(pressure)
    assert [set(each) for each in managed.told] == [{"act", "point"}, {"act"}]
    stats = managed.manager.stats["act"]
    assert (stats.active, stats.scale_percent) == (0, 75)


def test_a_resource_that_cannot_be_measured_stays_as_it_was() -> None:
    managed = Managed()
    managed.measure(0.9)
    assert managed.measure(-1) == {"act": 1, "point": 1}
    (resource,) = managed.manager.resources
    assert (resource.stats.failed_updates, resource.stats.pressure) == (1, 90)


def test_chance_decides_in_between() -> None:
    point = ShedPoint()
    seen: list[float] = []
    point.on_change(seen.append)
    assert not point.strikes()
    point.put(1.0)
    assert all(point.strikes() for _ in range(10))
    point.put(0.5)
    # 2^-199 that all are the same.
    assert {point.strikes() for _ in range(200)} == {True, False}
    assert seen == [1.0, 0.5]
    assert 10 < point.stats.shed_load_count < 210


def test_the_heap_is_memory_of_this_process() -> None:
    assert 0 < FixedHeap(lambda: 1 << 40).pressure() < 0.1
    assert FixedHeap(lambda: 1 << 20).pressure() > 1


@pytest.mark.parametrize(
    ("usage", "limit"),
    [
        ("memory.current", "memory.max"),
        ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes"),
    ],
)
def test_both_versions_of_cgroups(tmp_path: Path, usage: str, limit: str) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / usage).write_text("500\n")
    (tmp_path / limit).write_text("1000\n")
    assert CgroupMemory(0, tmp_path).pressure() == 0.5
    assert CgroupMemory(800, tmp_path).pressure() == 0.625
    assert CgroupMemory(8000, tmp_path).pressure() == 0.5


def test_a_cgroup_without_a_limit(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No supported cgroup memory implementation found"):
        CgroupMemory(0, tmp_path)
    (tmp_path / "memory.current").write_text("500\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert CgroupMemory(0, tmp_path).pressure() == 0
    assert CgroupMemory(1000, tmp_path).pressure() == 0.5


def test_an_injected_pressure(tmp_path: Path) -> None:
    path = tmp_path / "p"
    with pytest.raises(FileNotFoundError):
        InjectedResource(path)
    path.write_text("0.25\n")
    monitor = InjectedResource(path)
    assert monitor.pressure() == 0.25
    for nonsense in ("much", "1.5", "-1", "nan"):
        path.write_text(nonsense)
        with pytest.raises(ValueError, match=r"number|range|convert|float"):
            monitor.pressure()


def test_cores_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    path.write_text("cpu  100 0 100 800 0 0\n")
    monitor = CpuOfHost(path)
    path.write_text("cpu  150 0 150 900 0 0\n")
    assert monitor.pressure() == pytest.approx(0.5 * 0.05)


def test_cores_of_a_container(tmp_path: Path) -> None:
    now = 10.0
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 1000000\nuser_usec 1\n")
    monitor = CpuOfContainer(lambda: now, tmp_path)
    assert monitor.pressure() == 0
    now = 11.0
    (tmp_path / "cpu.stat").write_text("usage_usec 1250000\nuser_usec 1\n")
    assert monitor.pressure() == pytest.approx(0.5 * 0.05)


def test_cores_of_a_container_in_the_old_way(tmp_path: Path) -> None:
    now = 10.0
    files = {"cpuacct/cpuacct.usage": "1000000000", "cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monitor = CpuOfContainer(lambda: now, tmp_path)
    assert monitor.pressure() == 0
    now = 11.0
    (tmp_path / "cpuacct/cpuacct.usage").write_text("2000000000")
    assert monitor.pressure() == pytest.approx(0.5 * 0.05)
