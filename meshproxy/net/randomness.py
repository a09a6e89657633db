"""Chance: which endpoint, which fault, how long a back-off waits.

With MESHPROXY_SEED in the environment all that is drawn repeats, so that a test can. Each purpose draws from a source
of its own: a fault sequence does not depend on what a balancer or the DNS drew in between. Not for what must be unique
or secret, such as request ids.
"""

import os
from random import Random

_SEED = os.environ.get("MESHPROXY_SEED", "")
_sources: dict[str, Random] = {}
_process = 0


def source(purpose: str) -> Random:
    """The same for the same purpose ("faults"); for modules to take, with the methods they need, when imported."""
    found = _sources.get(purpose)
    if found is None:
        found = _sources[purpose] = Random()
        _sow(purpose, found)
    return found


def sow(process: int) -> None:
    """For a worker: forks would otherwise all draw what the process they come from would have drawn."""
    global _process
    _process = process
    for purpose, each in _sources.items():
        _sow(purpose, each)


def _sow(purpose: str, each: Random) -> None:
    each.seed(f"{_SEED}/{_process}/{purpose}" if _SEED else None)
