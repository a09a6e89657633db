"""A clock that jumps by hours: nothing closes, nothing expires, and times in logs are those of the new clock."""

import socket
from pathlib import Path

import pytest

from .running import cluster, config, starting, wait_for

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
# The wall clock reads how many seconds to add from a file; the clock of the event loop is the kernel's monotonic one.
JUMPS = """
import time
_real, _file = time.time, {file!r}
def _jumped():
    return _real() + float(open(_file).read())
time.time = _jumped
"""
TIMEOUTS = """
          common_http_protocol_options: {idle_timeout: 600s, max_connection_duration: 900s}
          stream_idle_timeout: 300s
          request_timeout: 300s
          access_log:
          - name: f
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: LOG
              log_format: {text_format_source: {inline_string: "%RESPONSE_CODE% %START_TIME(%s)% %DURATION%\\n"}}
"""


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_nothing_closes(tmp_path: Path, seconds: int) -> None:
    jump, log = tmp_path / "jump", tmp_path / "access.log"
    jump.write_text("0")
    with socket.create_server(("127.0.0.1", 0)) as origin:
        port = origin.getsockname()[1]
        text = config("route: {cluster: origin, timeout: 300s}", TIMEOUTS.replace("LOG", str(log)), cluster(port))
        flags = ("--file-flush-interval-msec", "20")
        with starting(tmp_path, text, *flags, script=JUMPS.format(file=str(jump))) as proxy:
            proxy.wait_until_live()
            with proxy.connect() as idle, proxy.connect() as busy:
                busy.sendall(GET)
                upstream, _ = origin.accept()
                with upstream:
                    assert upstream.recv(1000).startswith(b"GET")
                    jump.write_text(str(seconds))
                    # Some turns of the loop with the new clock.
                    before = proxy.stat("listener.admin.downstream_cx_total")
                    wait_for(lambda: proxy.stat("listener.admin.downstream_cx_total") > before + 5)
                    upstream.sendall(OK)
                    assert b"200 OK" in busy.recv(1000)
                    # Both go on, over the same upstream connection.
                    idle.sendall(GET)
                    assert upstream.recv(1000).startswith(b"GET")
                    upstream.sendall(OK)
                    assert b"200 OK" in idle.recv(1000)
            assert 0 <= proxy.stat("server.uptime") < 600
            wait_for(lambda: log.exists() and len(log.read_text().splitlines()) == 2)
            first, second = [[int(field) for field in line.split()] for line in log.read_text().splitlines()]
    # When it began is by the wall clock, how long it took is not.
    assert abs(second[1] - first[1] - seconds) < 600
    assert max(first[2], second[2]) < 600_000
