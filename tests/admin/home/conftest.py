"""Traffic and failures as the page meets them, made by hand in a played process."""

from typing import Any

import pytest

from meshproxy.admin.home import document
from meshproxy.admin.home.history import History
from tests.admin.conftest import Client
from tests.observe.exchanges import exchange


@pytest.fixture(autouse=True)
def history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has looked yet."""
    monkeypatch.setattr(document, "_history", History())


def served(admin: Client, cluster: str = "reviews", status: int = 200, times: int = 1) -> None:
    """So many requests were answered."""
    stats = admin.process.ctx.clusters.by_name[cluster].stats
    stats.upstream_rq_total += times
    for responses in stats.external():
        for _ in range(times):
            responses.charge(status)
            responses.time.record(12)


def failed(admin: Client, cluster: str | None = "reviews", **changed: Any) -> None:
    """A connection was refused."""
    made: Any = exchange(path="/a?token=secret", status=503)
    made.connection.listener.name = "entry"
    if cluster is not None:
        made.cluster = admin.process.ctx.clusters.by_name[cluster]
        made.endpoint = next(iter(made.cluster.endpoints), None)
    made.flags, made.details = ("UF",), "upstream_reset_before_response_started{remote_connection_failure}"
    made.upstream_failure = "delayed connect error: Connection refused"
    for name, value in changed.items():
        setattr(made, name, value)
    admin.process.ctx.failures.add(made)
    if cluster is not None:
        served(admin, cluster, 503)
