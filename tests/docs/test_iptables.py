"""docs/iptables.md: every flag has its row, and what the log says is what the troubleshooting knows."""

import re
from pathlib import Path

import yaml

from meshproxy.iptables import checks
from meshproxy.iptables.options import FLAGS, read_options

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs" / "iptables.md").read_text()
FLAG_ROW = re.compile(r"\| `--([\w-]+)` \| (?:`-(\w)`)? ?\| (.+?) \| ?(.*)\|")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_flag_has_its_row() -> None:
    rows = {name: row for name, *row in FLAG_ROW.findall(section("Flags"))}
    for flag in FLAGS:
        short, default, variables = (cell.strip() for cell in rows.pop(flag.name))
        assert short == flag.short
        assert variables == ", ".join(f"`{name}`" for name in flag.env)
        if flag.default and flag.kind != "duration":
            assert default == str(flag.default)
    assert rows == {}


def test_the_init_container_has_flags_that_are_read() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (container,) = yaml.safe_load(block)["initContainers"]
    config = read_options(container["args"], {}, print)
    checks.check(config, print)
    assert (config.inbound_ports, config.outbound_ranges, config.proxy_uid) == ("*", "*", "1337")


def test_the_troubleshooting_quotes_the_log() -> None:
    rows = [line for line in section("Troubleshooting").splitlines() if line.startswith("| `")]
    quoted = [text for row in rows for text in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(quoted) > 8
    code = "".join(path.read_text() for path in (REPOSITORY / "iptables").glob("*.py"))
    said = code.replace("{binary}", "iptables").replace("{piece.name}", "the address ::6 on lo")
    assert [text for text in quoted if text not in said] == []
