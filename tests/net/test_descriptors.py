"""How many file descriptors traffic gets."""

import resource

import pytest

from meshproxy.net.descriptors import ceiling


@pytest.mark.parametrize(
    ("limit", "share", "first"),
    [(1024, 1.0, 992), (80, 1.0, 70), (1024, 0.5, 496), (resource.RLIM_INFINITY, 1.0, 1 << 31)],
)
def test_some_are_kept_back(limit: int, share: float, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (limit, limit))
    assert ceiling(share) == first
