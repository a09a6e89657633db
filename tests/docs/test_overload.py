"""docs/overload.md: its example is a configuration, and its tables name everything there is."""

import asyncio
import re
from pathlib import Path

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.build_overload import build_overload
from meshproxy.config.context import Context
from meshproxy.config.view import unread
from meshproxy.downstream.overload import ACTION, ACTIONS

TEXT = (Path(__file__).parents[2] / "docs" / "overload.md").read_text()


def test_the_example_is_taken_without_a_word() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    view = load_bootstrap(None, example).view
    manager = build_overload(view.overload_manager, Context(asyncio.new_event_loop()))
    assert unread(view) == []
    assert len(manager.triggers) == 3


def test_every_action_has_its_row() -> None:
    rows = {f"{ACTION}{name}" for name in re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)}
    assert rows >= ACTIONS
