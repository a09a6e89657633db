"""docs/workers.md: its examples are configuration."""

import re
from pathlib import Path

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.build_watchdogs import build_watchdogs
from meshproxy.config.view import unread

TEXT = (Path(__file__).parents[2] / "docs" / "workers.md").read_text()


def test_the_example_is_taken_without_a_word() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    view = load_bootstrap(None, example).view
    assert [settings.kill for settings in build_watchdogs(view)] == [10.0, 10.0]
    assert unread(view) == []
