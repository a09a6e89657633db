"""/logging changes the levels of the process log, and says no in Envoy's words."""

import logging
from collections.abc import Iterator

import pytest

from meshproxy.observe.process_log import LOGGERS, ProcessLog, levels
from tests.admin.conftest import Client


@pytest.fixture(autouse=True)
def known_levels() -> Iterator[None]:
    """Loggers belong to the interpreter: they are left as they were found."""
    root = logging.getLogger().level
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    ProcessLog().set_level("info")
    yield
    logging.getLogger().setLevel(root)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_levels_are_shown(admin: Client) -> None:
    lines = admin.post("/logging").text.splitlines()
    assert lines[:2] == ["active loggers:", "  a2a: info"]
    assert "  upstream: info" in lines


def test_one_several_and_all(admin: Client) -> None:
    assert "  main: debug\n" in admin.post("/logging?main=debug").text
    assert levels()["http"] == "info"
    assert admin.post("/logging?paths=main:info,http:warning").status == 200
    assert (levels()["main"], levels()["http"]) == ("info", "warning")
    assert admin.post("/logging?level=error").status == 200
    assert set(levels().values()) == {"error"}
    assert admin.post("/logging?paths=&level=").status == 200
    assert set(levels().values()) == {"error"}


@pytest.mark.parametrize(
    "query, reason",
    [
        ("level=foo", "unknown logger level"),
        ("nope=debug", "unknown logger name"),
        ("a=b&c=d", "invalid number of parameters"),
        ("level=warn", "unknown logger level"),
        ("paths=main", "empty logger name or empty logger level"),
        ("paths=nope:foo", "unknown logger level"),
        ("paths=main:debug,nope:info", "unknown logger name"),
        ("group=main:debug", "group parameter requires fine-grain logging to be enabled"),
    ],
)
def test_refused(admin: Client, query: str, reason: str) -> None:
    before = levels()
    reply = admin.post(f"/logging?{query}")
    assert reply.status == 400
    assert reply.text.startswith(f"error: {reason}\n\nusage: /logging?<name>=<level> (change single level)\n")
    assert "levels: trace debug info warning error critical off \nactive loggers:\n" in reply.text
    assert levels() == before
