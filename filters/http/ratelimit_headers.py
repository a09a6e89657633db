"""What responses tell of limits: x-ratelimit-* (draft-polli-ratelimit-headers-03), retry-after."""

from collections.abc import Iterable

from meshproxy.filters.ratelimit_service import Status


def left_headers(statuses: Iterable[Status]) -> list[tuple[str, str]]:
    """Of the limit of which least is left, with all limits behind it."""
    limited = [status for status in statuses if status.limited]
    if not limited:
        return []
    least = min(limited, key=lambda status: status.remaining)
    policy = "".join([_policy(status) for status in limited if status.window])
    return [
        ("x-ratelimit-limit", f"{least.limit}{policy}"),
        ("x-ratelimit-remaining", str(least.remaining)),
        ("x-ratelimit-reset", str(least.reset)),
    ]


def retry_after(statuses: Iterable[Status]) -> int | None:
    """Seconds until all limits that were hit are open again."""
    resets = [status.reset for status in statuses if status.over]
    return max(resets) if resets else None


def _policy(status: Status) -> str:
    name = f';name="{status.name}"' if status.name else ""
    return f", {status.limit};w={status.window}{name}"
