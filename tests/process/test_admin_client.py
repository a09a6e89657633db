"""The small client, against servers that answer well and badly."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshproxy.process.admin_client import BadAnswer, ask

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nOK\n"

Serve = Callable[..., tuple[str, list[bytes]]]


def answer(listener: socket.socket, replies: list[bytes], heard: list[bytes]) -> None:
    for reply in replies:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            heard.append(connection.recv(65536))
            connection.sendall(reply)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that gives each connection the next of some answers; gives its address and what it heard."""
    started: list[tuple[socket.socket, threading.Thread]] = []

    def start(*replies: bytes, path: str = "") -> tuple[str, list[bytes]]:
        heard: list[bytes] = []
        listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        listener.bind(path.replace("@", "\0", 1) if path else ("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=answer, args=(listener, list(replies), heard), daemon=True)
        thread.start()
        started.append((listener, thread))
        return path or f"127.0.0.1:{listener.getsockname()[1]}", heard

    yield start
    for listener, thread in started:
        # Wakes the thread where it still waits for a connection.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_get(serve: Serve) -> None:
    address, heard = serve(OK)
    assert ask(address, "GET", "/ready") == (200, "OK", b"OK\n")
    assert heard[0] == b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


def test_post_says_how_long_its_form_is(serve: Serve) -> None:
    address, heard = serve(OK, OK)
    ask(address, "POST", "quitquitquit")
    assert heard[0].startswith(b"POST /quitquitquit HTTP/1.1\r\n")
    assert heard[0].endswith(b"\r\ncontent-length: 0\r\n\r\n")
    ask(address, "POST", "/runtime_modify", b"a=1")
    assert b"content-type: application/x-www-form-urlencoded\r\n" in heard[1]
    assert heard[1].endswith(b"\r\ncontent-length: 3\r\n\r\na=1")


@pytest.mark.parametrize("name", ["{folder}/admin.sock", "@meshproxy-test-{folder}"])
def test_unix_sockets(serve: Serve, tmp_path: Path, name: str) -> None:
    address, _ = serve(OK, path=name.format(folder=tmp_path))
    assert ask(address, "GET", "/ready").status == 200


def test_chunks_are_joined(serve: Serve) -> None:
    chunked = b"HTTP/1.1 503 Not Yet\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert ask(serve(chunked)[0], "GET", "/") == (503, "Not Yet", b"abcde")


def test_head_has_no_body(serve: Serve) -> None:
    assert ask(serve(OK[:-3])[0], "HEAD", "/") == (200, "OK", b"")


@pytest.mark.parametrize(
    "reply, why",
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0-x\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n", "does not speak HTTP"),
        (OK[:-1], "cut short"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc", "cut short"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "cut short"),
    ],
)
def test_answers_that_are_none(serve: Serve, reply: bytes, why: str) -> None:
    with pytest.raises(BadAnswer, match=why):
        ask(serve(reply)[0], "GET", "/")


@pytest.mark.parametrize("address", ["", "localhost", ":80", "a:b", "127.0.0.1:70000", "127.0.0.1:\u0661"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        ask(address, "GET", "/")


@pytest.mark.parametrize("path", ["/a b", "/\r\nx: y", "/\x7f"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(ValueError, match="no method or path"):
        ask("127.0.0.1:1", "GET", path)


def test_all_of_it_has_to_come_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        ask(f"127.0.0.1:{silent.getsockname()[1]}", "GET", "/", timeout=0.05)
