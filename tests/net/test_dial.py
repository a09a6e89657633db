"""Connecting, and the words for what goes wrong."""

import asyncio
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from meshproxy.net.dial import DialError, SocketOptions, attach, dial, dial_socket
from meshproxy.net.sockets import SocketOption
from tests.upstream.fakes import black_hole

NONE = SocketOptions()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def reason_of(address: tuple[str, int], options: SocketOptions = NONE, timeout: float = 5.0) -> DialError:
    async def work() -> None:
        sock = await dial_socket(asyncio.get_running_loop(), address, timeout, options)
        sock.close()

    with pytest.raises(DialError) as caught:
        run(work())
    return caught.value


def test_a_protocol_is_connected() -> None:
    async def work() -> bytes:
        async def hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        server = await asyncio.start_server(hello, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        address = server.sockets[0].getsockname()
        await dial(loop, lambda: asyncio.StreamReaderProtocol(reader), address, 5.0, NONE)
        received = await reader.read()
        server.close()
        return received

    assert run(work()) == b"hello"


class _EndsAtOnce(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


@pytest.mark.parametrize("path", [False, True])
def test_a_connection_that_ends_at_once_has_let_go_of_its_descriptor(path: bool, tmp_path: Path) -> None:
    async def work() -> None:
        with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as listening:
            listening.bind(f"{tmp_path}/s" if path else ("127.0.0.1", 0))
            listening.listen()
            address = (f"{tmp_path}/s", 0) if path else listening.getsockname()
            loop = asyncio.get_running_loop()
            sock = await dial_socket(loop, address, 5.0, NONE)
            await attach(loop, _EndsAtOnce(), sock)
            assert sock.fileno() == -1

    run(work())


@pytest.mark.parametrize("abstract", [False, True])
def test_unix_sockets(abstract: bool, tmp_path: Path) -> None:
    path = f"@{tmp_path}/s" if abstract else f"{tmp_path}/s"

    async def work() -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("\0" + path[1:] if abstract else path)
            listening.listen()
            sock = await dial_socket(asyncio.get_running_loop(), (path, 0), 5.0, NONE)
            assert sock.getpeername() in (path, b"\0" + path[1:].encode())
            sock.close()

    run(work())


def test_refused() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = reason_of(closed.getsockname())
    assert error.reason == "delayed connect error: Connection refused"
    assert not error.local


def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    path = f"{tmp_path}/missing"
    error = reason_of((path, 0))
    assert error.reason == f"immediate connect error: No such file or directory|remote address:{path}"
    assert not error.local


def test_unreachable() -> None:
    error = reason_of(("255.255.255.255", 80))
    assert error.reason == "immediate connect error: Network is unreachable|remote address:255.255.255.255:80"


def test_a_source_address_that_is_not_ours() -> None:
    error = reason_of(("127.0.0.1", 80), SocketOptions(bind=[("192.0.2.77", 0)]))
    assert error.reason == "failed to bind to 192.0.2.77:0: Cannot assign requested address"
    assert error.bind and error.local


def test_silence() -> None:
    with black_hole() as address:
        error = reason_of(address, timeout=0.05)
    assert error.timeout and error.local
    assert error.reason == ""


def test_cancelling_is_not_a_timeout() -> None:
    async def work() -> None:
        with black_hole() as address:
            loop = asyncio.get_running_loop()
            task = loop.create_task(dial_socket(loop, address, 5.0, NONE))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(work())


def test_options_and_the_source_of_the_right_family() -> None:
    async def work() -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            options = SocketOptions(
                bind=[("::1", 0), ("127.0.0.2", 0)],
                options=[SocketOption(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
            )
            sock = await dial_socket(asyncio.get_running_loop(), listening.getsockname(), 5.0, options)
            assert sock.getsockname()[0] == "127.0.0.2"
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            sock.close()

    run(work())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_source_that_this_machine_has_not_is_for_freebind(host: str) -> None:
    """The connection itself cannot come about: nothing here answers to that address."""

    async def work() -> None:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listening:
            listening.bind((host, 0))
            listening.listen()
            where = listening.getsockname()[:2]
            foreign = SocketOptions(bind=[("192.0.2.77", 0), ("2001:db8::77", 0)])
            with pytest.raises(DialError, match="failed to bind to") as refused:
                await dial_socket(asyncio.get_running_loop(), where, 0.05, foreign)
            assert refused.value.bind
            foreign.freebind = True
            with pytest.raises(DialError) as late:
                await dial_socket(asyncio.get_running_loop(), where, 0.05, foreign)
            assert not late.value.bind

    run(work())
