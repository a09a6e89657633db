"""The load benchmark measures what it says: its own parts answer rightly, and its table compares rightly."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmarks.load import captured, configs
from benchmarks.load.cases import CASES, CPU
from benchmarks.load.table import Row, markdown, medians
from examples.ports import free, listening
from tests.parity.proxies import REPOSITORY, command, find_envoy


@pytest.fixture(scope="module")
def passthrough() -> Iterator[int]:
    """The port of a pass-through in front of the benchmarks' upstream."""
    listen, upstream = free([0, 1]).values()
    commands = (
        ["benchmarks.load.upstream", str(upstream)],
        ["benchmarks.load.passthrough", "http", str(listen), str(upstream)],
    )
    processes = [subprocess.Popen([sys.executable, "-m", *one], cwd=REPOSITORY) for one in commands]
    try:
        until = time.monotonic() + 30
        while not {listen, upstream} <= listening():
            assert time.monotonic() < until and all(process.poll() is None for process in processes)
            time.sleep(0.01)
        yield listen
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)


def test_passthrough_keeps_connections_and_bodies(passthrough: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", passthrough, timeout=10)
    for size in (100, 102400, 0):
        connection.request("GET", f"/bytes/{size}")
        assert connection.getresponse().read() == b"x" * size
    connection.request("POST", "/bytes/1024", body=b"y" * 102400)
    assert connection.getresponse().read() == b"x" * 1024
    connection.close()


def test_passthrough_closes_when_asked(passthrough: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", passthrough, timeout=10)
    connection.request("GET", "/bytes/100", headers={"connection": "close"})
    answer = connection.getresponse()
    assert answer.getheader("connection") == "close" and len(answer.read()) == 100


@pytest.mark.skipif(find_envoy() is None, reason="no Envoy on this machine")
@pytest.mark.parametrize("content", [configs.http(1, 2, 3), configs.http(1, 2, 3, routes=500), configs.tcp(1, 2, 3)])
def test_envoy_takes_the_configurations(content: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    arguments = [*command("envoy"), "--mode", "validate", "-c", str(path), "--disable-hot-restart"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("proxy", ["envoy", "meshproxy"])
@pytest.mark.parametrize(("way", "client"), [("captured", True), ("plain", True), ("plain", False)])
def test_both_ways_between_pods_have_a_configuration(proxy: str, way: str, client: bool, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(captured.config_of(way, client, "10.244.0.2")))
    arguments = [*command(proxy), "--mode", "validate", "-c", str(path), "--disable-hot-restart"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_what_it_costs_to_be_captured_is_compared_with_plain_hops() -> None:
    found = {"meshproxy": {"captured": [{CPU: 105.0}, {CPU: 95.0}, {CPU: 900.0}], "plain": [{CPU: 100.0}] * 3}}
    lines = captured.markdown({"captured": found, "captured-new-connection": found}).splitlines()
    assert lines[4:] == [
        "| small GET, keep-alive | meshproxy | 105 | 100 | 1.05 | ≤ 1.1 reached |",
        "| small GET, a connection each | meshproxy | 105 | 100 | 1.05 |  |",
    ]


def test_the_table_compares_medians() -> None:
    values = {
        "envoy": medians([{CPU: 50.0}, {CPU: 40.0}, {CPU: 900.0}])[CPU],
        "meshproxy": medians([{CPU: 30.0}, {CPU: 25.0}, {CPU: 20.0}])[CPU],
        "bare": 20.0,
    }
    slow = {"envoy": 1.0, "meshproxy": 1.5, "bare": 0.5}
    rows = [Row("get", "small GET", CPU, 1.0, values), Row("tcp", "TCP", "ms", 1.0, slow)]
    lines = markdown(rows, 3).splitlines()
    assert lines[4] == "| small GET | CPU µs per request | 50.0 | 25.0 | 20.0 | 0.50 | ≤ 1.0 reached | 1.25 |"
    assert lines[5] == "| TCP | ms | 1.00 | 1.50 | 0.50 | 1.50 | ≤ 1.0 **not reached** | 3.00 |"


def test_case_names_are_unique() -> None:
    assert len({case.name for case in CASES} | set(captured.CASES)) == len(CASES) + len(captured.CASES)
