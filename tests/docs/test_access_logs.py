"""The examples of docs/access-logs.md are configurations that are accepted, and print what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshproxy.config.build_access_logs import build_access_logs
from meshproxy.config.context import Context
from meshproxy.config.parse import parse
from meshproxy.config.view import View, unread
from meshproxy.observe.flags import LONG_FLAGS
from meshproxy.observe.operators import TABLE
from meshproxy.testing import Bench
from tests.observe.exchanges import forwarded

PAGE = (Path(__file__).parents[2] / "docs" / "access-logs.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
FILE = {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"}


@pytest.mark.parametrize("example", EXAMPLES, ids=[next(iter(example)) for example in EXAMPLES])
def test_example(example: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "log"
    entry: dict[str, Any] = {"name": "file", "typed_config": {**FILE}}
    if "access_log" in example:
        (entry,) = example["access_log"]
    elif "filter" in example:
        entry["filter"] = example["filter"]
    else:
        entry["typed_config"] |= example
    over_grpc = ".file." not in entry["typed_config"]["@type"]
    if not over_grpc:
        entry["typed_config"]["path"] = str(path)
    message, problems = parse(entry, "envoy.config.accesslog.v3.AccessLog")
    assert not problems
    view, ctx = View(message), Context(Bench().loop)
    (log,) = build_access_logs([view], ctx)
    assert not list(unread(view))
    exchange = forwarded(("x-request-id", "ffffffff-1111-4222-8333-444444444444"))
    exchange.started = exchange.last_activity - 2.0
    written: list[str] = []
    log._write = written.append  # no file: there is no loop that runs
    log.log(exchange)
    ctx.log_files.close()
    assert len(written) == (0 if "extension_filter" in example.get("filter", {}) else 1)
    assert over_grpc or all(line.endswith("\n") for line in written)


def test_names_are_those_of_operators_and_flags() -> None:
    table = PAGE.partition("### Worth knowing")[2].partition("### Response flags")[0]
    named = set(re.findall(r"`([A-Z_]+)(?:\(.*?\))?`", table))
    assert len(named) > 25 and named - TABLE.keys() == set()
    flags = re.findall(r"`([A-Z]+)` [a-z]", PAGE.partition("### Response flags")[2].partition("## What not")[0])
    assert len(flags) > 10 and set(flags) - LONG_FLAGS.keys() == set()
