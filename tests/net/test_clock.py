import time
from email.utils import formatdate

import pytest

from meshproxy.net import clock


@pytest.mark.parametrize("now", [0, 951_782_400, 1_700_000_000, 4_102_444_799])
def test_dates_are_those_of_http(now: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: now + 0.9)
    monkeypatch.setattr(clock, "_second", -1)
    assert clock.http_date() == formatdate(now, usegmt=True)
