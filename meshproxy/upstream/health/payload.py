"""What an answer to a check has to contain (HealthCheck.Payload)."""

from collections.abc import Sequence


def contains(data: bytes, segments: Sequence[bytes]) -> bool:
    """Whether the segments come in this order, whatever is between them."""
    at = 0
    for segment in segments:
        at = data.find(segment, at)
        if at < 0:
            return False
        at += len(segment)
    return True
