"""Every scenario, through Envoy and through meshproxy."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .proxies import find_envoy
from .runs import Pair, batches
from .scenario import SCENARIOS, Scenario, find, load

pytestmark = pytest.mark.skipif(find_envoy() is None, reason="no Envoy: see tests/parity/README.md")


class Stage:
    """The pair of proxies that the last test used, kept until a test needs another."""

    def __init__(self, selected: list[Scenario]) -> None:
        self.runner = asyncio.Runner()
        self.batches = {scenario.name: batch for batch in batches(selected) for scenario in batch}
        self.pair: Pair | None = None

    def verdict(self, scenario: Scenario) -> str:
        if self.pair is None or scenario.name not in self.pair.names:
            self.close_pair()
            self.pair = Pair(self.batches[scenario.name])
            self.runner.run(self.pair.start())
        _, _, verdict = self.runner.run(self.pair.run(scenario))
        return str(verdict)

    def close_pair(self) -> None:
        if self.pair is not None:
            self.runner.run(self.pair.stop())
            self.pair = None


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    paths = [item.callspec.params.get("path") for item in tests if item.originalname == "test_scenario"]
    stage = Stage([load(path) for path in paths if isinstance(path, Path)])
    yield stage
    stage.close_pair()
    stage.runner.close()


def _together() -> list[Any]:
    """Every scenario, those that share a process in one group: they run one after the other where that process is."""
    paths = {load(path).name: path for path in find()}
    return [
        pytest.param(paths[scenario.name], marks=pytest.mark.xdist_group(f"scenarios {batch[0].name}"))
        for batch in batches(map(load, paths.values()))
        for scenario in batch
    ]


@pytest.mark.parametrize("path", _together(), ids=lambda path: str(path.relative_to(SCENARIOS)))
def test_scenario(path: Path, stage: Stage) -> None:
    """Envoy and meshproxy do the same, or differ only where the scenario says why."""
    differences = stage.verdict(load(path))
    assert not differences, f"\n{differences}"
