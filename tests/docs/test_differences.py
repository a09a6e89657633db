"""docs/differences.md names every scenario that may differ from Envoy, and no other."""

import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]
SCENARIOS = REPOSITORY / "tests" / "parity" / "scenarios"


def test_page_and_scenarios_name_the_same() -> None:
    meant = {
        str(path.relative_to(SCENARIOS).with_suffix(""))
        for path in SCENARIOS.rglob("*.yaml")
        # Most files need no parser to tell.
        if "\ndiffers:" in (text := path.read_text()) and yaml.safe_load(text)["differs"]
    }
    rows = [line for line in (REPOSITORY / "docs" / "differences.md").read_text().splitlines() if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"`(\w+/\w+)`", row.rsplit("|", 2)[1])}
    assert named == meant
