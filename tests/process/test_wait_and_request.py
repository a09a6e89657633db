"""`meshproxy wait` and `meshproxy request`: what they print, and their exit status."""

import subprocess
import sys

import pytest

from meshproxy.process import request, wait
from tests.process.test_admin_client import OK, Serve, serve

__all__ = ["serve"]

STARTING = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 17\r\n\r\nPRE_INITIALIZING\n"
MISSING = b"HTTP/1.1 404 Not Found\r\ncontent-length: 8\r\n\r\nno path\n"
UNUSED = "127.0.0.1:1"
SOON = ["--periodMillis", "1", "--timeoutSeconds", "20"]


def test_waits_until_it_is_ready(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    address, heard = serve(STARTING, b"", STARTING, OK)
    assert wait.main(["--admin", address, *SOON]) == 0
    assert [each.partition(b" HTTP")[0] for each in heard] == [b"GET /ready"] * 4
    assert capsys.readouterr() == ("", "")


def test_waits_for_a_url(serve: Serve) -> None:
    address, heard = serve(STARTING, OK)
    assert wait.main(["--url", f"http://{address}/healthz/ready?x=y", *SOON]) == 0
    assert heard[1].startswith(f"GET /healthz/ready?x=y HTTP/1.1\r\nhost: {address}\r\n".encode())


def test_gives_up(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    address, _ = serve(STARTING, b"")
    for why in ("/ready answers 503 PRE_INITIALIZING", f"{address}: closed without an answer"):
        assert wait.main(["--admin", address, "--timeoutSeconds", "0"]) == 1
        assert capsys.readouterr().err == f"meshproxy wait: not ready after 0 s: {why}\n"
    assert wait.main(["--admin", UNUSED, "--timeoutSeconds", "0"]) == 1
    assert capsys.readouterr().err == f"meshproxy wait: not ready after 0 s: {UNUSED}: Connection refused\n"


@pytest.mark.parametrize("url", ["https://localhost/", "ftp://x", "localhost:80/ready"])
def test_urls_that_cannot_be_asked(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert wait.main(["--url", url]) == 1
    assert "is no http:// URL" in capsys.readouterr().err


def test_prints_the_answer(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    address, heard = serve(OK, OK[:-1].replace(b"3", b"2"))
    assert request.main(["get", "/ready", "--admin", address]) == 0
    assert capsys.readouterr() == ("OK\n", "")
    assert request.main(["POST", "drain", "a=b", "--debug-port", address.rpartition(":")[2]]) == 0
    assert capsys.readouterr() == ("OK\n", "")
    assert heard[0].startswith(b"GET /ready ")
    assert heard[1].startswith(b"POST /drain ")
    assert heard[1].endswith(b"\r\n\r\na=b")


def test_what_the_environment_says(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHPROXY_ADMIN", serve(OK)[0])
    assert request.main(["GET", "/ready"]) == 0


def test_a_refusal_is_printed_and_fails(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    assert request.main(["GET", "/nosuch", "--admin", serve(MISSING)[0]]) == 1
    assert capsys.readouterr() == ("no path\n", "meshproxy request: GET /nosuch: 404 Not Found\n")
    assert request.main(["GET", "/", "--admin", UNUSED]) == 1
    assert capsys.readouterr() == ("", f"meshproxy request: {UNUSED}: Connection refused\n")
    assert request.main(["GET", "/", "--admin", "nowhere"]) == 1
    assert "is no address" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["wait", "request"])
def test_neither_imports_the_proxy(word: str) -> None:
    program = (
        f"import sys; sys.argv[1:] = ['{word}', '--help']\n"
        "from meshproxy.__main__ import main\n"
        "try: main()\n"
        "finally: print(sorted(set(sys.modules) & {'asyncio', 'uvloop', 'google.protobuf', 'yaml', 'logging'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]")
    assert done.stdout.startswith(f"usage: meshproxy {word} ")
