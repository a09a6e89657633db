"""Every configuration under examples/ is taken by the proxy, and does what its header says."""

import socket
import subprocess
from pathlib import Path

import pytest

from meshproxy.agent import ca
from tests.parity.proxies import REPOSITORY, command

from .running import EXAMPLES, configurations, find, read, running

CONFIGURATIONS = configurations()


def named(path: Path) -> str:
    return str(path.relative_to(EXAMPLES))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a configuration calls certs/me."""
    folder = tmp_path_factory.mktemp("certs")
    ca.init(folder, "cluster.local", 1)
    return ca.issue(folder, "default/me", 1)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=named)
def test_is_taken(path: Path, proxy: str, certificates: Path, tmp_path: Path) -> None:
    text = path.read_text()
    if "certs/me/" in text:
        path = tmp_path / path.name
        path.write_text(text.replace("certs/me/", f"{certificates}/"))
    arguments = [*command(proxy), "--mode", "validate", "-c", str(path), "--disable-hot-restart"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"configuration '{path}' OK"


@pytest.mark.parametrize("path", find(), ids=named)
def test_does_what_its_header_says(path: Path, proxy: str) -> None:
    example = read(path)
    with running(example, proxy) as proxied:
        for one in example.tries:
            assert one.gives or one.logs, f"{one.command} promises nothing"
            printed = proxied.run(one.command)
            for text in one.gives:
                text = text.replace("127.0.0.1:10000", f"127.0.0.1:{proxied.moved.get(10000)}")
                assert text in printed, f"{one.command}\n{printed}"
            for text in one.logs:
                assert proxied.logged(text), f"{text!r} is not in the output:\n{proxied.output.read_text()}"


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=named)
def test_says_how_to_try_it(path: Path) -> None:
    """A configuration has the lines to try it, unless a runner beside it starts it."""
    beside = {"bookinfo": "run.py", "compose": "docker-compose.yml"}.get(path.parent.name)
    assert path in find() or (beside and (path.parent / beside).exists())


def test_websocket_frames_come_back(proxy: str) -> None:
    with running(read(EXAMPLES / "websocket" / "gateway.yaml"), proxy) as proxied:
        with socket.create_connection(("127.0.0.1", proxied.moved[10000]), 10) as sock, sock.makefile("rb") as stream:
            sock.sendall(
                b"GET / HTTP/1.1\r\nhost: example\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            while stream.readline() != b"\r\n":
                pass
            assert stream.read(16) == b"\x81\x0eSay something."
            sock.sendall(b"\x81\x82\0\0\0\0hi")
            assert stream.read(4) == b"\x81\x02hi"
            sock.sendall(b"\x88\x80\0\0\0\0")
            assert stream.read() == b"\x88\x00"
