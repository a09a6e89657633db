"""python -m tests.parity.foreign FILE...: a line per bootstrap, and what differs."""

import argparse
import asyncio
import sys

from meshproxy.config.errors import ConfigError
from tests.parity.foreign.echo import Echo
from tests.parity.foreign.judge import Verdicts, judge
from tests.parity.foreign.transplant import load

_SHOWN = 3  # differences of one configuration


async def main(paths: list[str]) -> int:
    worst = 0
    async with Echo() as echo:
        for path in paths:
            try:
                verdicts = await judge(load(path), echo.port)
            except ConfigError as error:
                print(f"SKIPPED {path}: {error}")
                continue
            print(f"{'ok' if verdicts.agree else 'DIFFERS':7} {path}: {verdicts.asked} asked", flush=True)
            if not verdicts.agree:
                worst = 1
                _show(verdicts)
    return worst


def _show(verdicts: Verdicts) -> None:
    for kind, text in verdicts.refusals.items():
        print(f"  {kind} refuses: {text}")
    for name, question, envoy, ours in verdicts.differences[:_SHOWN]:
        print(f"  {name}: {question.head()!r}\n    envoy     {envoy}\n    meshproxy {ours}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.parity.foreign", description=__doc__)
    parser.add_argument("paths", nargs="+", help="bootstraps, YAML or JSON")
    sys.exit(asyncio.run(main(parser.parse_args().paths)))
