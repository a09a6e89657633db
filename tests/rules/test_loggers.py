"""Loggers have Envoy's names, so that --component-log-level and /logging reach all of them."""

import re
from pathlib import Path

from meshproxy.observe.process_log import LOGGERS

ROOT = Path(__file__).parents[2]


def test_every_logger_is_one_of_envoys() -> None:
    files = [path for room in ("meshproxy", "filters") for path in (ROOT / room).rglob("*.py")]
    named = {name: path for path in files for name in re.findall(r'getLogger\("(\w+)"\)', path.read_text())}
    assert {name: str(path) for name, path in named.items() if name not in LOGGERS} == {}
    assert "main" in named
