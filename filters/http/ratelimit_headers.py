"""What responses tell of limits: x-ratelimit-* (draft-polli-ratelimit-headers-03), retry-after."""

from collections.abc import Iterable, Sequence

from meshproxy.filters.ratelimit_service import Status


def left_headers(statuses: Sequence[Status], tells: Sequence[bool]) -> list[tuple[str, str]]:
    """Of the limit of which least is left, with all limits behind it. tells: which of them may be told; without the
    one of which least is left, none is."""
    limited = [(status, told) for status, told in zip(statuses, tells, strict=True) if status.limited]
    if not limited:
        return []
    least, told = min(limited, key=lambda each: each[0].remaining)
    if not told:
        return []
    policy = "".join([_policy(status) for status, told in limited if told and status.window])
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
