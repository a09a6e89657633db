"""What holds for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from meshproxy.observe.demand import DEMAND

# A machine that is busy is slow, and a slow example is not a wrong one: no test here is about time.
settings.register_profile("meshproxy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("meshproxy")


@pytest.fixture(autouse=True)
def nothing_is_demanded() -> Iterator[None]:
    """Formats that a test compiles leave marks, which are for the process (observe/demand.py)."""
    yield
    DEMAND.wire = DEMAND.route_time = False
