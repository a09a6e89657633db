"""The command from outside: what it prints, and its exit status. Nothing here touches a network."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .planning import ENVIRONMENT, plan, script

REPOSITORY = Path(__file__).parents[2]
USUAL = ("-u", "1337", "-i", "*", "-b", "*", "-d", "15090", "--dry-run")


def run(
    *flags: str, words: tuple[str, ...] = ("meshproxy", "iptables"), **environment: str
) -> subprocess.CompletedProcess[str]:
    module, *rest = words
    return subprocess.run(
        [sys.executable, "-m", module, *rest, *flags],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(REPOSITORY), "PATH": "/nowhere", **environment},
    )


@pytest.mark.parametrize("words", [("meshproxy", "iptables"), ("meshproxy", "istio-iptables"), ("meshproxy.iptables",)])
def test_a_dry_run_prints_what_would_be_applied(words: tuple[str, ...]) -> None:
    done = run(*USUAL, words=words)
    assert done.returncode == 0
    assert done.stdout.splitlines() == plan(*USUAL)
    assert done.stderr.count("\n") == 1 and "IPv4: this would be the input of iptables-restore --noflush" in done.stderr


def test_a_dry_run_with_ipv6_prints_one_after_the_other(tmp_path: Path) -> None:
    file = tmp_path / "plan"
    file.write_text("an earlier and longer plan\n" * 100)
    done = run(*USUAL, MESHPROXY_TEST_IPV6="true", DRY_RUN_FILE_PATH=str(file))
    texts = [*plan(*USUAL), *plan(*USUAL, v6=True)]
    assert done.stdout.splitlines() == texts
    looks = ["iptables-save", "ip6tables-save"]
    assert file.read_text().splitlines() == [*looks, *texts, *looks]


def test_a_dry_run_of_cleaning_prints_the_commands() -> None:
    done = run(*USUAL, "--cleanup-only")
    lines = done.stdout.splitlines()
    assert lines[0] == "iptables -t nat -D ISTIO_OUTPUT -j ISTIO_REDIRECT"
    assert lines[-2:] == ["iptables -t nat -F ISTIO_REDIRECT", "iptables -t nat -X ISTIO_REDIRECT"]


def test_a_dry_run_for_nftables(tmp_path: Path) -> None:
    file = tmp_path / "plan"
    done = run(*USUAL, "--native-nftables", DRY_RUN_FILE_PATH=str(file))
    assert done.returncode == 0
    assert done.stdout.splitlines() == file.read_text().splitlines() == script(*USUAL)
    done = run("--dry-run", "--native-nftables", "--cleanup-only")
    assert done.stdout.startswith("add table inet istio-proxy-nat\ndelete table inet istio-proxy-nat\n")


def test_a_file_that_cannot_be_written() -> None:
    done = run(*USUAL, DRY_RUN_FILE_PATH="/no/such/file")
    assert done.returncode == 1
    assert "DRY_RUN_FILE_PATH /no/such/file: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--bogus"], "unknown flag: --bogus (see meshproxy iptables --help)"),
        (["-b"], "flag needs an argument: 'b' in -b"),
        (["--log_output_level=default:loud"], "invalid output level 'default:loud'"),
        (["--log_target=/no/such/file"], "--log_target /no/such/file: No such file or directory"),
    ],
)
def test_a_command_line_that_cannot_be_read(flags: list[str], complaint: str) -> None:
    done = run(*flags)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"meshproxy iptables: {complaint}")


@pytest.mark.parametrize("flags", [["-b", "x"], ["-i", "10.0.0.0"], ["-x", "*"], ["--cleanup-only", "--force-apply"]])
def test_what_cannot_be_meant_is_one_line(flags: list[str]) -> None:
    done = run(*flags)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.split("\t")[1] == "error"


def test_skipping_does_nothing() -> None:
    done = run("--skip-rule-apply")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Sends the traffic of a pod to its proxy")
    assert "  meshproxy iptables [flags]\n" in done.stdout


def test_the_log(tmp_path: Path) -> None:
    file = tmp_path / "log"
    done = run(*USUAL, "-m", "odd", "--log_as_json", f"--log_target={file}", "--log_target=stderr", "--vklog=9")
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    assert [entry["level"] for entry in entries] == ["warn", "info"]
    assert file.read_text() == done.stderr
    assert run(*USUAL, "--log_output_level=default:none").stderr == ""
    assert "\tdebug\t" in run(*USUAL, "--log_output_level=all:debug").stderr


def test_the_installed_commands() -> None:
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["istio-iptables"] == "meshproxy.iptables.cli:main"
    cleaning = (
        "import sys; from meshproxy.iptables.cli import clean_main\n"
        "sys.argv[1:] = ['--dry-run', '-b', '*']; clean_main()"
    )
    assert scripts["istio-clean-iptables"] == "meshproxy.iptables.cli:clean_main"
    done = subprocess.run(
        [sys.executable, "-c", cleaning],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0
    assert "iptables -t nat -D PREROUTING -p tcp -j ISTIO_INBOUND" in done.stdout
    assert "-A " not in done.stdout


def test_it_starts_without_the_proxy_and_what_is_slow_to_import() -> None:
    """Every pod waits for it."""
    look = (
        "import sys; before = set(sys.modules)\n"
        "from meshproxy.__main__ import main; sys.argv[1:] = ['iptables', '-n']\n"
        "try: main()\n"
        "finally: print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0
    modules = done.stderr.splitlines()[-1].split()
    ours = [name for name in modules if name.startswith("meshproxy")]
    assert "meshproxy.iptables.rules" in ours
    apart = ("meshproxy.iptables.", "meshproxy.__main__.")
    assert [name for name in ours if not f"{name}.".startswith(apart)] == ["meshproxy"]
    slow = {"asyncio", "uvloop", "google", "yaml", "logging", "argparse", "dataclasses", "ipaddress", "json"}
    assert not slow & set(modules)
    assert len(modules) < 90
