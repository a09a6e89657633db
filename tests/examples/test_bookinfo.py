"""Bookinfo as `make run` starts it."""

import http.client
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples import ports
from examples.bookinfo import run
from tests.parity.proxies import FLAGS, REPOSITORY, command

RUN = [sys.executable, "-m", "examples.bookinfo.run"]


def proxied(proxy: str) -> list[str]:
    return ["--proxy", " ".join([*command(proxy), *FLAGS])]


def test_shows_its_answers_and_the_tour(proxy: str) -> None:
    done = subprocess.run(
        [*RUN, "--once", "--tour", "--free-ports", *proxied(proxy)], capture_output=True, text=True, timeout=110,
        cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert "200, The Comedy of Errors · Bookinfo" in shown
    assert "5 × v2 (black stars)" in shown
    anybody = next(line for line in shown.splitlines() if "20 times, anybody" in line)
    assert "v2" not in anybody and "v1 (no stars)" in anybody
    assert re.search(r"weights 90/10:  \d+ × v1", shown) and "weights 0/100:  20 × v3" in shown
    assert re.search(r"jason +waits \d\.\d s, and sees stars", shown)
    assert re.search(r"sleepy +waits [5-9]\.\d s, and sees stars", shown)
    assert re.search(r"grumpy +waits \d\.\d s, and sees no stars", shown)
    assert re.search(r"answers: \d+ × 200; \d+ × 503, overloaded", shown)
    assert shown.count("is ejected") == 1 and "ejections_enforced_total: 1" in shown
    calls = {
        "productpage  called by spiffe://cluster.local/ns/default/sa/gateway",
        "productpage  calls     spiffe://cluster.local/ns/default/sa/reviews",
        "ratings      called by spiffe://cluster.local/ns/default/sa/reviews",
    }
    told = {each for each in calls if each in shown}
    assert told == calls if proxy == "meshproxy" else "has no page /peers" in shown


@contextmanager
def staying(proxy: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """The runner, and the port of the edge."""
    with staying_with_output(proxy) as (process, output):
        opened = next(line for line in output if line.startswith("Open "))
        yield process, int(opened.split("127.0.0.1:")[1].split("/")[0])


@contextmanager
def staying_with_output(proxy: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """The runner, and the lines that it has printed."""
    process = subprocess.Popen(
        [*RUN, "--free-ports", *proxied(proxy)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdout
    try:
        output = []
        for line in process.stdout:
            output.append(line)
            if line.startswith("Ctrl-C"):
                break
        yield process, output
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def ask(port: int, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, str, str]:
    """Status, location, cookie and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body=body or None, headers=headers)
        answer = connection.getresponse()
        location, cookie = answer.getheader("location", ""), answer.getheader("set-cookie", "")
        return answer.status, location, cookie, answer.read().decode()
    finally:
        connection.close()


def test_stays_until_interrupted_and_leaves_nothing(proxy: str) -> None:
    with staying(proxy) as (process, edge):
        status, location, _, _ = ask(edge, "GET", "/")
        assert (status, location) == (302, f"http://127.0.0.1:{edge}/productpage")
        status, location, cookie, _ = ask(edge, "POST", "/login", "user=jason")
        assert (status, location) == (303, "/productpage") and cookie.startswith("user=jason;")
        status, _, _, page = ask(edge, "GET", "/productpage", cookie="user=jason")
        assert status == 200 and 'aria-label="5 of 5 stars"' in page and 'class="black"' in page
        assert ask(edge, "POST", "/login", "user=%3Cb%3E")[0] == 400
        assert ask(edge, "GET", "/elsewhere")[0] == 404
        assert '"publisher": "PublisherA"' in ask(edge, "GET", "/api/v1/products/0")[3]
    assert process.returncode == 0
    assert edge not in ports.listening()


def test_a_service_that_is_away_is_seen_on_the_dashboard() -> None:
    with staying_with_output("meshproxy") as (_, output):
        text = "".join(output)
        edge, ratings, admin = (
            int(re.findall(rf"127\.0\.0\.1:(\d+)/{path}", text)[0]) for path in ("productpage", "away", "peers")
        )
        assert ask(ratings, "POST", "/away")[0] == 204
        page = ask(edge, "GET", "/productpage", cookie="user=jason")
        assert page[0] == 200 and "of 5 stars" not in page[3]
        failures = ask(admin, "GET", "/failures")[3]
        assert f"UF: could not connect to service at 127.0.0.1:{ratings}: connection refused; GET ratings/" in failures
        page = ask(admin, "GET", "/")
        assert "Some requests to service fail" in page[3] and "spiffe://cluster.local/ns/default/sa/reviews" in page[3]


def test_who_is_not_of_the_mesh_is_not_let_in(tmp_path: Path) -> None:
    bookinfo = run.Bookinfo(run.choose_ports(free=True))
    run.certify(tmp_path / "strangers")
    try:
        bookinfo.start([*command("meshproxy"), *FLAGS], tmp_path)
        inbound = bookinfo.port[run.PODS["details"].inbound]
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(inbound, "GET", "/details/0")
        for folder in (None, tmp_path / "strangers" / "gateway"):
            with pytest.raises((OSError, http.client.HTTPException)):
                ask_with(folder, tmp_path / "certs", inbound)
        assert ask_with(tmp_path / "certs" / "gateway", tmp_path / "certs", inbound) == 200
    finally:
        bookinfo.group.stop()


def ask_with(identity: Path | None, authority: Path, port: int) -> int:
    """GET /details/0 over TLS, with the certificate of `identity`: the status."""
    context = ssl.create_default_context(cafile=authority / "root-cert.pem")
    context.check_hostname = False
    if identity is not None:
        context.load_cert_chain(identity / "cert-chain.pem", identity / "key.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request("GET", "/details/0")
        return connection.getresponse().status
    finally:
        connection.close()


def test_says_which_ports_are_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "listening", lambda: {22, 8080, 9901})
    with pytest.raises(run.Trouble, match=r"^in use already: 127\.0\.0\.1:8080, 127\.0\.0\.1:9901\. Stop"):
        run.choose_ports(free=False)


def test_a_proxy_that_ends_is_reported_and_everything_stops() -> None:
    done = subprocess.run(
        [*RUN, "--once", "--free-ports", "--proxy", "false"], capture_output=True, text=True, timeout=90, cwd=REPOSITORY
    )
    assert done.returncode == 1
    assert done.stderr == "bookinfo: sidecar of productpage ended with exit code 1\n"
