"""Filters are imported under one name."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("name, works", [("meshproxy.filters", True), ("filters", False)])
def test_only_as_meshproxy_filters(name: str, works: bool) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode == 0) is works
    if not works:
        assert done.stderr.endswith("ImportError: 'filters' must be imported as 'meshproxy.filters'\n")
