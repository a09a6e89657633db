"""python -m tests.parity [--show] [PATTERN]: a line per scenario, every difference that is not meant, and a table."""

import argparse
import asyncio
import json
import sys
from collections import Counter

from .runs import Pair, batches
from .scenario import Scenario, find, load

BATCHES = 2  # that run side by side: one starts its proxies while the other is at work
AT_ONCE = 4  # scenarios of a batch that run side by side


class Table:
    """What came of the scenarios, by area."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}

    def add(self, scenario: Scenario, what: str, count: int = 1) -> None:
        self.counts.setdefault(scenario.area, Counter())[what] += count

    def __str__(self) -> str:
        columns = ("agree", "differ", "meant")
        rows = [(area, *(counts[column] for column in columns)) for area, counts in self.counts.items()]
        rows.append(("all", *(self.total(column) for column in columns)))
        lines = [f"{'area':12}{'agree':>8}{'differ':>8}{'meant differences':>20}"]
        return "\n".join(lines + [f"{area:12}{agree:8}{differ:8}{meant:20}" for area, agree, differ, meant in rows])

    def total(self, what: str) -> int:
        return sum(counts[what] for counts in self.counts.values())


async def main(pattern: str, show: bool) -> int:
    table, limit = Table(), asyncio.Semaphore(BATCHES)
    scenarios = [load(path) for path in find(pattern)]
    await asyncio.gather(*(_batch(batch, limit, table, show) for batch in batches(scenarios)))
    print(f"\n{table}")
    return 1 if table.total("differ") or not table.total("agree") else 0


async def _batch(batch: list[Scenario], limit: asyncio.Semaphore, table: Table, show: bool) -> None:
    async with limit:
        pair = Pair(batch)
        try:
            await pair.start()
            at_once = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(_run(pair, scenario, at_once, table, show) for scenario in batch))
        finally:
            await pair.stop()


async def _run(pair: Pair, scenario: Scenario, limit: asyncio.Semaphore, table: Table, show: bool) -> None:
    async with limit:
        envoy, _, verdict = await pair.run(scenario)
    print(f"{'ok' if verdict.passed else 'DIFFERS':7} {scenario.name}: {scenario.about}")
    if show:
        print(json.dumps(envoy, indent=2))
    for reason, places in Counter(difference.reason for difference in verdict.meant).items():
        print(f"  meant, in {places} place(s): {reason}")
    if not verdict.passed:
        print(verdict)
    table.add(scenario, "agree" if verdict.passed else "differ")
    table.add(scenario, "meant", len(verdict.meant))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.parity", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only scenarios whose path contains this")
    parser.add_argument("--show", action="store_true", help="print what Envoy did")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.pattern, arguments.show)))
