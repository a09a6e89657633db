"""python -m tests.parity [--show] [PATTERN]: one line per scenario, and below it every difference that is not meant."""

import argparse
import asyncio
import json
import sys

from .runs import Pair, batches
from .scenario import Scenario, find, load

AT_ONCE = 8  # scenarios of a batch that run side by side


async def main(pattern: str, show: bool) -> int:
    scenarios = [load(path) for path in find(pattern)]
    failed = meant = 0
    for batch in batches(scenarios):
        pair = Pair(batch)
        try:
            await pair.start()
            limit = asyncio.Semaphore(AT_ONCE)
            for result in await asyncio.gather(*(_line(pair, scenario, limit, show) for scenario in batch)):
                failed += not result[0]
                meant += result[1]
        finally:
            await pair.stop()
    print(f"\n{len(scenarios)} scenarios, {len(scenarios) - failed} agree, {failed} differ, {meant} meant differences")
    return 1 if failed else 0


async def _line(pair: Pair, scenario: Scenario, limit: asyncio.Semaphore, show: bool) -> tuple[bool, int]:
    async with limit:
        try:
            envoy, _, verdict = await pair.run(scenario)
        except Exception as error:
            print(f"ERROR   {scenario.name}: {error}")
            return False, 0
    word = "ok" if verdict.passed else "DIFFERS"
    print(f"{word:7} {scenario.name}: {scenario.about}")
    if show:
        print(json.dumps(envoy, indent=2))
    if not verdict.passed:
        print(verdict)
    for difference in verdict.meant:
        print(difference)
    return verdict.passed, len(verdict.meant)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.parity", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only scenarios whose path contains this")
    parser.add_argument("--show", action="store_true", help="print what Envoy did")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.pattern, arguments.show)))
