"""File descriptors are finite: the last ones are kept for the operator.

The kernel gives out the lowest number that is free, so the number of a new socket tells how many are in use. Traffic is
refused beyond a ceiling below the limit; the admin listener, files and DNS still get theirs.
"""

import resource

RESERVE = 32


def ceiling(share: float = 1.0) -> int:
    """The first descriptor that traffic does not get. share: of what is there for traffic."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 31
    return int((soft - min(RESERVE, soft // 8)) * share)
