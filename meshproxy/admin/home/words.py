"""Numbers and times as people read them, short and of even width."""

import math
import time
from datetime import UTC, datetime

from meshproxy.admin.home.html import Html, fill


def rate_text(per_second: float) -> str:
    """`0`, `0.03`, `3.2`, `410`, `12.4k`."""
    if per_second >= 10_000:
        return f"{per_second / 1000:.1f}k"
    if per_second >= 100:
        return f"{per_second:.0f}"
    if per_second >= 1:
        return f"{per_second:.1f}"
    return f"{per_second:.2f}" if per_second >= 0.005 else "0" if not per_second else "<0.01"


def share_text(share: float) -> str:
    """`0 %`, `0.04 %`, `3.1 %`, `100 %`: what is not nothing never looks like nothing."""
    percent = share * 100
    if not percent or percent >= 99.95:
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 0.1 else f"{percent:.2f} %" if percent >= 0.005 else "<0.01 %"


def milliseconds_text(value: float) -> str:
    """`–`, `<1 ms`, `3.4 ms`, `120 ms`, `2.5 s`."""
    if math.isnan(value):
        return "–"
    if value < 1:
        return "<1 ms"
    if value < 10:
        return f"{value:.1f} ms"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def count_text(number: int) -> str:
    """`7`, `12,345`, `1.2M`."""
    return f"{number / 1e6:.1f}M" if number >= 1_000_000 else f"{number:,}"


def many(number: int, one: str, more: str = "") -> str:
    """`1 endpoint`, `2 endpoints`."""
    return f"{count_text(number)} {one if number == 1 else more or one + 's'}"


def span_text(seconds: float) -> str:
    """`3 s`, `4 min`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 2:
        return f"{whole} s"
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def moment(at: float) -> Html:
    """A moment (wall clock) as how long ago it was, the time of day with it."""
    when = datetime.fromtimestamp(at, UTC)
    return fill(
        '<time datetime="{iso}" title="{iso}">{ago} ago</time>',
        iso=when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ago=span_text(time.time() - at),
    )


def clock_text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")
