"""Pods: fixtures for tests with a real kernel."""

from collections.abc import Iterator

import pytest

from .pod import Pod, can_make_pods


@pytest.fixture(scope="session")
def _pods() -> None:
    if not can_make_pods():
        pytest.skip("namespaces with iptables need root")


@pytest.fixture
def pod(_pods: None) -> Iterator[Pod]:
    """With an address of IPv4."""
    pod = Pod()
    yield pod
    pod.close()


@pytest.fixture
def pod6(_pods: None) -> Iterator[Pod]:
    """With addresses of both families, that of IPv6 first in no sense: IPv6 needs --dual-stack."""
    pod = Pod(["10.9.9.9/32", "fd00::9/128"])
    yield pod
    pod.close()
