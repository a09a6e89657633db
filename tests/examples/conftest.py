"""Examples run on Envoy, and on meshproxy where this checkout has a command to run."""

import pytest

from tests.parity.proxies import find_envoy

from .running import meshproxy_runs


@pytest.fixture(params=["envoy", "meshproxy"], scope="session")
def proxy(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "envoy" and find_envoy() is None:
        pytest.skip("no Envoy on this machine")
    if name == "meshproxy" and not meshproxy_runs():
        pytest.skip("python -m meshproxy --version does not run yet")
    return name
