"""How stats are shown: which of them, with which tags, in which buckets (envoy.config.metrics.v3.StatsConfig)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from meshproxy.observe.quantiles import DEFAULT_BUCKETS
from meshproxy.observe.tags import TagProducer


def _all(_name: str) -> bool:
    return True


def _default_bounds(_name: str) -> Sequence[float]:
    return DEFAULT_BUCKETS


@dataclass
class StatsConfig:
    """`accepts`: whether a stat is shown at all, by its name. `bounds`: the bucket bounds of a histogram."""

    tags: TagProducer = field(default_factory=TagProducer)
    accepts: Callable[[str], bool] = _all
    bounds: Callable[[str], Sequence[float]] = _default_bounds
