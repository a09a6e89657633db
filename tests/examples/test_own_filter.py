"""A filter from an installed package is found by its type, configured and run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .running import EXAMPLES, read, running

PACKAGE = EXAMPLES / "filters"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's package installed into it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name in ("greeting.py", "pyproject.toml"):
        (source / name).write_bytes((PACKAGE / name).read_bytes())
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(target), str(source)], check=True, timeout=100)
    return target


def environment(*folders: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}


def test_does_what_its_header_says(installed: Path) -> None:
    example = read(PACKAGE / "gateway.yaml")
    with running(example, "meshproxy", environment(installed)) as proxied:
        (one,) = example.tries
        printed = proxied.run(one.command)
        assert one.gives == ["x-greeting: Good morning"] and one.gives[0] in printed


def test_is_named_where_it_is_not_installed() -> None:
    arguments = [sys.executable, "-m", "meshproxy", "--mode", "validate", "-c", str(PACKAGE / "gateway.yaml")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, env=environment(), cwd=EXAMPLES.parent)
    assert done.returncode == 1
    assert "unsupported extension: example.v1.Greeting" in done.stderr + done.stdout


def test_is_ten_lines() -> None:
    lines = [line for line in (PACKAGE / "greeting.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 10
