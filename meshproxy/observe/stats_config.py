"""How stats are shown: which of them, with which tags, in which buckets (envoy.config.metrics.v3.StatsConfig)."""

from collections.abc import Callable

from meshproxy.observe.exposition import Bounds
from meshproxy.observe.prometheus import label_text
from meshproxy.observe.quantiles import DEFAULT_BUCKETS
from meshproxy.observe.shapes import Shapes
from meshproxy.observe.tags import TagProducer


class StatsConfig:
    """`bounds`: the bucket bounds of a histogram, by its name."""

    __slots__ = ("accepts", "bounds", "shapes", "tags")

    def __init__(
        self,
        tags: TagProducer | None = None,
        accepts: Callable[[str], bool] | None = None,
        bounds: Bounds = lambda _name: DEFAULT_BUCKETS,
    ) -> None:
        """accepts: whether a stat is shown at all, by its name; None for all."""
        self.tags = tags or TagProducer()
        self.accepts = accepts
        self.shapes = Shapes(self.tags, accepts, label_text)
        self.bounds = bounds
