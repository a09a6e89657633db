"""Runs scenarios in both proxies; scenarios of a folder share a process."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .compare import Verdict, judge
from .scenario import Scenario
from .world import Observation, World

BATCH = 24  # scenarios to a process


def kinds() -> tuple[str, str]:
    """Whom to compare; MESHPROXY_PARITY_ONLY=envoy compares Envoy with itself: is a scenario steady?"""
    only = os.environ.get("MESHPROXY_PARITY_ONLY")
    return (only, only) if only else ("envoy", "meshproxy")


def batches(scenarios: Iterable[Scenario]) -> list[list[Scenario]]:
    """Scenarios that share a process: those of a folder, some at a time, except those that want one of their own."""
    shared: dict[str, list[Scenario]] = {}
    alone = []
    for scenario in scenarios:
        if scenario.own_process:
            alone.append([scenario])
        else:
            shared.setdefault(scenario.area, []).append(scenario)
    return [*(list(part) for area in shared.values() for part in batched(area)), *alone]


def batched(scenarios: Sequence[Scenario]) -> Iterator[Sequence[Scenario]]:
    """Each process is asked for its stats all the time, so it should not have too many."""
    for start in range(0, len(scenarios), BATCH):
        yield scenarios[start : start + BATCH]


class Pair:
    """The two proxies of one batch."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="parity-"))
        self.worlds = [World(kind, scenarios, self.folder / str(side)) for side, kind in enumerate(kinds())]
        self.names = {scenario.name for scenario in scenarios}

    async def start(self) -> None:
        await asyncio.gather(*(world.start() for world in self.worlds))

    async def run(self, scenario: Scenario) -> tuple[Observation, Observation, Verdict]:
        envoy, ours = await asyncio.gather(*(world.run(scenario) for world in self.worlds))
        if broken := envoy.keys() & {"refused", "crashed"}:
            raise RuntimeError(f"{scenario.name}: Envoy {broken.pop()}: {envoy}")
        compared_with_itself = self.worlds[0].kind == self.worlds[1].kind
        return envoy, ours, judge(envoy, ours, {} if compared_with_itself else scenario.differs)

    async def stop(self) -> None:
        await asyncio.gather(*(world.stop() for world in self.worlds))
        shutil.rmtree(self.folder)
