"""Metrics that filters of one's own keep with prometheus-client: the page for Prometheus shows them behind ours.

Nothing here imports the library: where no filter has, there is nothing to show. With several workers the library needs
the folder PROMETHEUS_MULTIPROC_DIR, in which it adds up what they count.
"""

import os
import sys
from typing import Any

_END = "# EOF\n"


def filter_metrics(openmetrics: bool) -> str:
    """Their families, a character per byte, without the mark that ends OpenMetrics."""
    if "prometheus_client" not in sys.modules:
        return ""
    from prometheus_client import REGISTRY, CollectorRegistry, exposition, multiprocess
    from prometheus_client.openmetrics import exposition as openmetrics_exposition

    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    generate: Any = openmetrics_exposition.generate_latest if openmetrics else exposition.generate_latest
    return str(generate(registry), "latin-1").removesuffix(_END)
