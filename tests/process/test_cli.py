"""The command line from outside: what it prints, and its exit status."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshproxy import __version__

from .running import REPOSITORY, command, config, run, starting


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def on_port(port: int) -> str:
    before, found, after = config().rpartition("port_value: 0")
    return f"{before}{found[:-1]}{port}{after}"


def write(directory: Path, text: str, name: str = "config.yaml") -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


def complaint(*flags: str) -> str:
    """The one line that says why it cannot be."""
    done = run("-l", "off", *flags)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.rstrip("\n")


@pytest.mark.parametrize("verb", [(), ("run",)])
def test_validate(tmp_path: Path, verb: tuple[str, ...]) -> None:
    path = write(tmp_path, config())
    done = run(*verb, "--mode", "validate", "-c", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"configuration '{path}' OK\n", "")


def test_validate_says_what_is_ignored(tmp_path: Path) -> None:
    path = write(tmp_path, config() + "flags_path: flags\n")
    line = config().count("\n") + 1
    done = run("--mode", "validate", "-c", path)
    assert done.returncode == 0
    assert done.stderr == f"{path}:{line}:1: flags_path: ignored: there are no flag files\n"


def test_validate_says_all_that_is_wrong(tmp_path: Path) -> None:
    text = config("route: {cluster: nobody}") + "tracing: {http: {name: x}}\n"
    text += "stats_flush_interval: 1s\nstats_flush_on_admin: true\n"
    path = write(tmp_path, text.replace("stat_prefix: in\n", "stat_prefix: in\n          tracing: {}\n"))
    done = run("--mode", "validate", "-c", path)
    assert done.returncode == 1
    assert "OK" not in done.stdout
    lines = done.stderr.splitlines()
    assert any("route: unknown cluster 'nobody'" in line for line in lines), done.stderr
    assert any(": tracing: " in line for line in lines), done.stderr
    assert any("Only one of stats_flush_interval or stats_flush_on_admin" in line for line in lines), done.stderr
    assert all(line.startswith(f"{path}:") for line in lines), done.stderr


def test_several_unknown_fields_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "foo: 1\nstatic_resources: {clusters: [{name: a, bar: 2}]}\n")
    done = run("-c", path)
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [f"{path}:1:1", f"{path}:2:41"]


def test_unknown_fields_may_be_allowed(tmp_path: Path) -> None:
    path = write(tmp_path, config() + "foo: 1\n")
    done = run("--mode", "validate", "-c", path, "--allow-unknown-static-fields")
    assert done.returncode == 0
    assert "foo" in done.stderr


def test_text_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, config())
    assert run("--mode", "validate", "-c", path, "--config-yaml", "node: {id: x}").returncode == 0
    assert "--config-yaml:1:8: node.foo" in complaint("-c", path, "--config-yaml", "node: {foo: x}")


def test_a_file_that_is_not_there() -> None:
    assert complaint("-c", "/nonexistent.yaml") == "/nonexistent.yaml: no such file"


def test_a_directory(tmp_path: Path) -> None:
    assert complaint("-c", str(tmp_path)) == f"{tmp_path}: is a directory, not a file"


@pytest.mark.parametrize("text", ["a: [1\nb: {", "\t", "- 1", "", "\x00", "a: *b"])
def test_broken_yaml(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    assert complaint("-c", path).startswith(path)


def test_broken_json(tmp_path: Path) -> None:
    path = write(tmp_path, '{"admin": ', "config.json")
    assert complaint("-c", path).startswith(f"{path}:1:")


def test_no_configuration() -> None:
    assert complaint() == "no configuration: give --config-path or --config-yaml"


@pytest.mark.parametrize("flags", ["--bogus", "--concurrency x", "--component-log-level nobody:debug"])
def test_a_command_line_that_cannot_be_understood(flags: str) -> None:
    assert complaint("--config-yaml", "{}", *flags.split()).endswith("(see meshproxy --help)")


def test_a_log_file_that_cannot_be_opened() -> None:
    line = complaint("--config-yaml", "{}", "--log-path", "/nonexistent/log")
    assert line.startswith("meshproxy: cannot open log file '/nonexistent/log': No such file or directory")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use(tmp_path: Path, taken: int, workers: str) -> None:
    path = write(tmp_path, on_port(taken))
    line = complaint("-c", path, "--concurrency", workers)
    assert line == f"meshproxy: cannot bind '127.0.0.1:{taken}': Address already in use"


@pytest.mark.skipif(
    int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 81, reason="no port is privileged here"
)
def test_a_privileged_port() -> None:
    without = [] if os.geteuid() else ["setpriv", "--bounding-set", "-net_bind_service"]
    arguments = [*without, *command("-l", "off", "--config-yaml", on_port(81))]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert done.stderr == "meshproxy: cannot bind '127.0.0.1:81': Permission denied\n"
    assert done.returncode == 1


def python(script: str) -> str:
    """What the script wrote to standard error."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    return done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_init_only(tmp_path: Path, workers: str) -> None:
    with starting(tmp_path, config(), "--mode", "init_only", "--concurrency", workers) as proxy:
        assert proxy.end() == 0
        assert "starting to serve" in proxy.log


def test_accidents_are_one_line() -> None:
    script = (
        "from meshproxy.process import cli, serve\n"
        "serve.Server = None\n"
        "print(cli.run(['--config-yaml', '{}', '-l', 'LEVEL']))"
    )
    quiet = python(script.replace("LEVEL", "info"))
    assert quiet.startswith("meshproxy: internal error: TypeError: 'NoneType' object is not callable (serve.py:")
    assert quiet.count("\n") == 1
    assert "Traceback" in python(script.replace("LEVEL", "debug"))


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"/{__version__}/" in done.stdout
    assert run("--hot-restart-version", "--disable-hot-restart").stdout == "disabled\n"


def test_help() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "--drain-strategy" in done.stdout
