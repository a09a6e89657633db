"""A line of JSON for each ejection and its end (envoy.data.cluster.v3.OutlierDetectionEvent)."""

import time
from collections.abc import Callable
from typing import Any

from meshproxy.upstream.health.events import timestamp, to_line
from meshproxy.upstream.outliers.monitor import OutlierMonitor


class OutlierEvents:
    """write: where the lines go; None for nowhere."""

    def __init__(self, cluster_name: str, write: Callable[[str], None] | None) -> None:
        self._cluster_name = cluster_name
        self._write = write

    def ejected(self, monitor: OutlierMonitor, now: float, kind: str, enforced: bool, why: dict[str, Any]) -> None:
        """why: the field of the event that tells more."""
        self._log(monitor, kind, "EJECT", enforced, _seconds_since(monitor.unejected_at, now), why)

    def unejected(self, monitor: OutlierMonitor, now: float) -> None:
        """As in Envoy, nothing is said of why it had been ejected."""
        self._log(monitor, "CONSECUTIVE_5XX", "UNEJECT", False, _seconds_since(monitor.ejected_at, now), {})

    def _log(
        self, monitor: OutlierMonitor, kind: str, action: str, enforced: bool, since: dict[str, Any],
        why: dict[str, Any],
    ) -> None:  # fmt: skip
        if self._write is None:
            return
        event = {
            "type": kind,
            "timestamp": timestamp(time.time()),
            **since,
            "cluster_name": self._cluster_name,
            "upstream_url": monitor.endpoint.address_text,
            "action": action,
            "num_ejections": monitor.ejections,
            "enforced": enforced,
            **why,
        }
        self._write(to_line(event))


def _seconds_since(then: float | None, now: float) -> dict[str, Any]:
    """64-bit numbers are text in protobuf's JSON."""
    return {} if then is None else {"secs_since_last_action": str(int(now - then))}
