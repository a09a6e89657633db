"""Examples run on both proxies."""

import pytest

from tests.parity.proxies import find_envoy


@pytest.fixture(params=["envoy", "meshproxy"], scope="session")
def proxy(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "envoy" and find_envoy() is None:
        pytest.skip("no Envoy on this machine")
    return name
