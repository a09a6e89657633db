"""docs/statistics.md: its configuration is served, its commands answer what it shows, its sink sends."""

import re
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from tests.process.running import Running, command

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "statistics.md").read_text()


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd, socket.create_server(("127.0.0.1", 0)) as free:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(20)
        admin, entry, upstream = free.getsockname()[1], 0, 1
        free.close()
        ports = {"9901": admin, "8080": entry, "9080": upstream, "8125": statsd.getsockname()[1]}
        config = PAGE.partition("```yaml\n")[2].partition("```")[0]
        path = tmp_path / "envoy.yaml"
        path.write_text(re.sub(r"port_value: (\d+)", lambda found: f"port_value: {ports[found[1]]}", config))
        with (tmp_path / "stderr").open("wb") as log:
            flags = ("-c", str(path), "--admin-address-path", str(tmp_path / "admin"))
            process = subprocess.Popen(command(*flags), stderr=log, cwd=REPOSITORY)
        try:
            Running(process, tmp_path).wait_until_live()
            for line, answer in examples():
                words = shlex.split(line.replace("9901", str(admin)))
                done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
                assert done.stdout == answer, line
            assert b"envoy.cluster.membership_total:1|g|#site:north,envoy.cluster_name:reviews-v2,version:v2" in (
                b"".join(statsd.recv(2000) for _ in range(20))
            )
        finally:
            process.kill()
            process.wait()


def examples() -> list[tuple[str, str]]:
    """Each command of the page, and what it answers."""
    found = re.findall(r"^    \$ (.*)\n((?:^    [^$].*\n)*)", PAGE, re.MULTILINE)
    return [(line, re.sub("^    ", "", answer, flags=re.MULTILINE)) for line, answer in found]
