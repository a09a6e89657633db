"""How long one try may last, whatever comes of it (HttpProtocolOptions.max_stream_duration)."""

import asyncio
from typing import TYPE_CHECKING

from meshproxy.http.filter import LocalReply

if TYPE_CHECKING:
    from meshproxy.routing.attempt import Attempt


def limit_duration(attempt: "Attempt") -> None:
    """The caller's x-envoy-upstream-stream-duration-ms goes before the cluster's max_stream_duration."""
    durations = attempt.cluster.durations(asyncio.get_running_loop(), _reached)
    asked = attempt.stream.asked.stream_duration if attempt.stream.asked is not None else None
    if asked:
        durations.add_for(attempt, asked)
    elif asked is None and durations.seconds:
        durations.add(attempt)


def forget_duration(attempt: "Attempt") -> None:
    attempt.cluster.durations(asyncio.get_running_loop(), _reached).discard(attempt)


def _reached(attempt: "Attempt") -> float:
    attempt.cluster.stats.upstream_rq_max_duration_reached += 1
    status = 504 if attempt.stream.request_complete else 408
    details = "upstream_max_stream_duration_reached"
    attempt.on_duration_reached(LocalReply(status, b"upstream max stream duration reached", details, flag="UMSDR"))
    return 0
