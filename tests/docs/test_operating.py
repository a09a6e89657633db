"""What the pages on runtime values and on draining show is tried: configurations, commands, answers."""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import yaml

from tests.process.running import config, running, wait_for

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """Every curl of a page, as its arguments."""
    lines = re.findall(r"^(?:    )?(?:\$ )?curl (.*)$", (DOCS / page).read_text(), re.MULTILINE)
    return [["curl", "-sS", *re.findall(r"'[^']*'|\S+", line.split("    #")[0].split("  #")[0])] for line in lines]


def run(line: list[str], port: int) -> str:
    arguments = [re.sub(r"localhost:\d+", f"127.0.0.1:{port}", each.strip("'")) for each in line]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


def test_runtime(tmp_path: Path) -> None:
    assert shutil.which("curl"), "the page has curl commands"
    root = tmp_path / "runtime"
    (root / "v1" / "envoy").mkdir(parents=True)
    (root / "v1" / "envoy" / "a.b").write_text("1")
    (root / "current").symlink_to("v1")
    layers = blocks("runtime.md", "yaml")[0].replace("/etc/meshproxy/runtime", str(root))
    swap = blocks("runtime.md", "sh")[0]
    with running(tmp_path / "p", config() + layers) as proxy:

        def value(key: str) -> str | None:
            entry = json.loads(proxy.admin("/runtime")[1])["entries"].get(key)
            return None if entry is None else str(entry["final_value"])

        assert value("limits.enabled") == "true"
        assert value("a.b") == "1"
        subprocess.run(["sh", "-ec", swap], cwd=root, check=True, timeout=20)
        wait_for(lambda: value("checkout.new_route") == "50")
        assert value("a.b") is None
        change, back = commands("runtime.md")
        assert run(change, proxy.admin_port) == "OK\n"
        assert value("limits.enabled") == "false"
        assert run(back, proxy.admin_port) == "OK\n"
        assert value("limits.enabled") == "false"
        assert value("checkout.new_route") == "50"
    # The second one only needs to be accepted, with a place that is there.
    assert yaml.safe_load(blocks("runtime.md", "yaml")[1])["disk_layer"]["symlink_root"].endswith("/..data")


def test_draining(tmp_path: Path) -> None:
    (pod,) = [yaml.safe_load(text)["spec"] for text in blocks("drain-and-stop.md", "yaml")]
    (container,) = pod["containers"]
    flags = container["args"][2:]
    sleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert sleep + int(flags[flags.index("--drain-time-s") + 1]) < pod["terminationGracePeriodSeconds"]
    with running(tmp_path, config(), *flags) as proxy, proxy.connect() as client:
        answers = {" ".join(line[2:]): run(line, proxy.admin_port) for line in commands("drain-and-stop.md")}
        assert answers["-X POST 'localhost:9901/drain_listeners?graceful'"] == "OK\n"
        assert answers["-X POST 'localhost:15000/drain_listeners?inboundonly&graceful'"] == "OK\n"
        active = answers["'localhost:15000/stats?usedonly&filter=downstream_cx_active$'"]
        assert re.search(r"^listener\.127\.0\.0\.1_\d+\.downstream_cx_active: 1$", active, re.MULTILINE)
        assert answers["localhost:9901/drain_status"].startswith("state: draining\nseconds left: ")
        proxy.signal(signal.SIGTERM)
        wait_for(lambda: proxy.admin("/drain_status")[1].startswith("state: draining, then exit\n"))
        client.close()
        assert proxy.end() == 0
