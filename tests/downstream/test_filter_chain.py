"""Network filters of one's own: verdicts, waiting, bytes on the way, and who hears of the end."""

import asyncio
from typing import Any

import pytest

from meshproxy.api import Close, Connection, NetworkFilter, Verdict
from meshproxy.config.extensions import find_extension
from tests.downstream.serving import ECHO, Serving, looped, network, read, read_all, says, send, serving, until

CONFIG = network("sni_cluster", "SniCluster")  # its message stands for the filter of a test


class Mine(NetworkFilter):
    """Notes what it is told."""

    ended = 0

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "Mine":
        return cls()

    def on_done(self, connection: Connection) -> None:
        self.ended += 1


def mine(served: Serving, place: int = 0) -> Any:
    return served.listener.chains.only.filters[place]  # type: ignore[union-attr]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    """use(A, B): the first filter of the configuration is an A, the second a B."""

    def replace(*classes: type[NetworkFilter]) -> None:
        rest = list(classes)
        find = find_extension
        monkeypatch.setattr(
            "meshproxy.config.build_filter_chains.find_extension",
            lambda name: rest.pop(0) if name.endswith("SniCluster") else find(name),
        )

    return replace


class Refuses(Mine):
    def on_connection(self, connection: Connection) -> Verdict:
        return Close(reset=True)


class Waits(Mine):
    """Lets a connection pass once `go` is set; closes it where `closes`."""

    closes = False

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def on_connection(self, connection: Connection) -> Close | None:  # type: ignore[override]
        await self.go.wait()
        return Close() if self.closes else None


class Shouts(Mine):
    """Changes the bytes of both directions; a `!` ends the connection."""

    def on_data(self, connection: Connection, data: bytes, end: bool) -> bytes | Close | None:
        return Close() if b"!" in data else data.upper()

    def on_write(self, connection: Connection, data: bytes) -> bytes | Close | None:
        return data + b"."


class Fails(Mine):
    def on_connection(self, connection: Connection) -> None:
        raise RuntimeError("a bug in a filter")


class FailsLater(Mine):
    async def on_connection(self, connection: Connection) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        raise RuntimeError("a bug in a filter")


@looped
async def test_close_by_reset(use: Any) -> None:
    use(Mine, Refuses)
    async with serving(CONFIG, CONFIG, ECHO) as served:
        with pytest.raises(ConnectionResetError):
            await served.ask()
        assert served.listener.stats.downstream_cx_active == 0
        assert (mine(served, 0).ended, mine(served, 1).ended) == (1, 0)


@looped
async def test_waiting_holds_one_connection_and_no_other(use: Any) -> None:
    use(Waits)
    async with serving(CONFIG, says("served")) as served:
        first, second = await served.connect(), await served.connect()
        with first, second:
            await until(lambda: served.listener.stats.downstream_cx_active == 2)
            mine(served).go.set()
            assert await read_all(second) == b"served"
            assert await read_all(first) == b"served"
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        assert mine(served).ended == 2


@looped
async def test_closed_after_waiting_what_was_sent_is_not_a_reset(use: Any) -> None:
    use(Waits)
    async with serving(CONFIG, ECHO) as served:
        mine(served).closes = True
        with await served.connect() as client:
            await send(client, b"data that nobody wants")
            mine(served).go.set()
            assert await read_all(client) == b""


@looped
async def test_later_filters_run_after_the_one_that_waited(use: Any) -> None:
    use(Waits, Refuses)
    async with serving(CONFIG, CONFIG, ECHO) as served:
        mine(served, 0).go.set()
        with pytest.raises(ConnectionResetError):
            await served.ask()
        assert (mine(served, 0).ended, mine(served, 1).ended) == (1, 0)


@looped
async def test_a_filter_may_change_bytes_and_close(use: Any) -> None:
    use(Shouts)
    async with serving(CONFIG, ECHO) as served:
        with await served.connect() as client:
            await send(client, b"hello")
            assert await read(client, 6) == b"HELLO."
            await send(client, b"bye!")
            assert await read_all(client) == b""
        await until(lambda: mine(served).ended)
        assert served.listener.stats.downstream_cx_active == 0


@pytest.mark.parametrize("broken", [Fails, FailsLater])
def test_a_filter_that_fails_closes_its_connection_and_is_reported(
    broken: type[NetworkFilter], use: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @looped
    async def run() -> None:
        use(broken)
        async with serving(CONFIG, ECHO) as served:
            with pytest.raises(ConnectionResetError):
                await served.ask()
            assert served.listener.stats.downstream_cx_active == 0

    run()
    assert "a bug in a filter" in caplog.text


@looped
async def test_the_listeners_log_counts_bytes_of_any_protocol() -> None:
    log = {"@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StderrAccessLog"}
    async with serving(ECHO, access_log=[{"name": "log", "typed_config": log}]) as served:
        logged: list[Any] = []
        served.listener.log = logged.append
        with await served.connect() as client:
            await send(client, b"hello")
            assert await read(client, 5) == b"hello"
        await until(lambda: logged)
    assert (logged[0].bytes_received, logged[0].bytes_sent, logged[0].flags) == (5, 5, ())
