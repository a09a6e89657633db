"""The load: wrk for requests as fast as they go, h2load at a fixed rate, iperf3 for bytes, sockets that stay idle."""

import http.client
import json
import re
import socket
import ssl
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from examples.ports import listening

from .proxies import LOAD_CORE, BenchmarkError, pinned

CONNECTIONS = 32
TIMEOUT_S = 60


def _run(arguments: list[str]) -> str:
    process = pinned(arguments, LOAD_CORE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        printed, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.wait()
        raise BenchmarkError(f"{' '.join(arguments)}: no end after {TIMEOUT_S} s") from error
    if process.returncode:
        raise BenchmarkError(f"{' '.join(arguments)}: exit code {process.returncode}: {printed.strip()[-500:]}")
    return str(printed)


def unverified() -> ssl.SSLContext:
    """Of clients that take every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def answers(port: int) -> bool:
    """Whether GET /bytes/100 through the proxy is answered with 200."""
    return _answers(http.client.HTTPConnection("127.0.0.1", port, timeout=5))


def answers_tls(port: int) -> bool:
    """The same over TLS."""
    return _answers(http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=unverified()))


def _answers(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/bytes/100")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listens(port: int) -> bool:
    """Whether somebody listens on ``port``, without connecting: iperf3 takes any connection for a test."""
    return port in listening()


# No two heads are the same: the path has one of 5,000 queries, and a header has a number of its own.
_VARIED = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "%s?" .. n %% 5000, {["x-trace"] = tostring(n) .. "-0123456789abcdef"})
end
"""


def wrk(
    port: int, path: str, seconds: float, body: int = 0, keep_alive: bool = True, varied: bool = False,
    tls: bool = False,
) -> tuple[int, float]:
    """Requests answered by 200 and requests per second; any other answer is an error."""
    arguments = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s"]
    if not keep_alive:
        arguments += ["-H", "Connection: close"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body:
            script.write(f'wrk.method = "POST"\nwrk.body = string.rep("x", {body})\n')
            script.flush()
            arguments += ["-s", script.name]
        if varied:
            script.write(_VARIED % path)
            script.flush()
            arguments += ["-s", script.name]
        printed = _run([*arguments, f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}"])
    total = re.search(r"(\d+) requests in ", printed)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    trouble = re.search(r"Non-2xx.*|Socket errors.*", printed)
    if not total or not rate or trouble or int(total[1]) == 0:
        raise BenchmarkError(f"wrk {path}: {trouble[0] if trouble else printed}")
    return int(total[1]), float(rate[1])


STREAMS = 10  # at once on each connection that speaks HTTP/2


def h2load(port: int, path: str, seconds: float, body: bytes = b"", grpc: bool = False, varied: bool = False) -> int:
    """Requests over HTTP/2 (prior knowledge) that were answered by 200; any other answer is an error.

    varied: the path has one of 5,000 queries.
    """
    with tempfile.NamedTemporaryFile() as data, tempfile.NamedTemporaryFile("w") as targets:
        arguments = ["h2load", "-t1", f"-c{CONNECTIONS}", f"-m{STREAMS}", f"-D{seconds:.0f}"]
        if body:
            data.write(body)
            data.flush()
            arguments += [f"--data={data.name}"]
        if grpc:
            arguments += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        url = f"http://127.0.0.1:{port}{path}"
        if varied:
            targets.writelines(f"{url}?{number}\n" for number in range(5000))
            targets.flush()
        printed = _run([*arguments, "-i", targets.name] if varied else [*arguments, url])
    done = re.search(r"(\d+) succeeded, (\d+) failed", printed)
    good = re.search(r"status codes: (\d+) 2xx", printed)
    if not done or not good or int(done[2]) or not int(good[1]):
        raise BenchmarkError(f"h2load {path}: {printed[-500:]}")
    return int(good[1])


def latencies_ms(port: int, path: str, seconds: float, rate: float) -> tuple[float, float]:
    """p50 and p99 at ``rate`` requests per second over CONNECTIONS connections, each at its share of the rate."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "requests"
        arguments = ["h2load", "--h1", f"-c{CONNECTIONS}", f"-D{seconds:.0f}", f"--rps={rate / CONNECTIONS:.2f}"]
        _run([*arguments, f"--log-file={log}", f"http://127.0.0.1:{port}{path}"])
        rows = [line.split("\t") for line in log.read_text().splitlines()]
    bad = sum(row[1] != "200" for row in rows)
    if bad or len(rows) < 0.9 * rate * seconds:
        raise BenchmarkError(f"{len(rows)} requests of {rate * seconds:.0f}, {bad} not answered with 200")
    hundredths = statistics.quantiles((int(row[2]) / 1000 for row in rows), n=100)
    return hundredths[49], hundredths[98]


def iperf3(port: int, seconds: float, down: bool) -> float:
    """GB through the proxy, from its upstream to the client (``down``) or the other way."""
    arguments = ["iperf3", "-c", "127.0.0.1", "-p", str(port), "-t", f"{seconds:.0f}", "-J"]
    for _ in range(10):
        report = json.loads(_run([*arguments, "-R"] if down else arguments))
        received = report["end"].get("sum_received")
        if received is not None:
            return float(received["bytes"]) / 1e9
        # The server behind the proxy still ends the test before this one.
        time.sleep(0.5)
    raise BenchmarkError(f"iperf3: {report.get('error', 'no result')}")


def idle_connections(port: int, count: int, tls: bool = False, size: int = 0) -> list[socket.socket]:
    """Connections that have had one request each, with an answer of `size` bytes, and are kept."""
    held = []
    context = unverified() if tls else None
    request = b"GET /bytes/%d HTTP/1.1\r\nhost: bench\r\nuser-agent: bench\r\naccept: */*\r\n\r\n" % size
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port), 5)
        if context is not None:
            sock = context.wrap_socket(sock)
        sock.sendall(request)
        answer = sock.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise BenchmarkError("an idle connection's request was not answered with 200")
        missing = size - len(answer.partition(b"\r\n\r\n")[2])
        while missing > 0:
            missing -= len(sock.recv(65536))
        held.append(sock)
    return held
