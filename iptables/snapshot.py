"""The namespace as it was: when applying fails halfway, the tables become again what they were before."""

from meshproxy.iptables.commands import run
from meshproxy.iptables.tools import Tool

Tables = dict[str, list[str]]
"Table to its lines in a text of iptables-save, counters included."


def roll_back(tool: Tool) -> None:
    """Tables that differ from ``tool.saved`` are put back; those that were not there go. Raises SetupError."""
    before = parse_tables(tool.saved)
    for table, lines in parse_tables(tool.save(counters=True)).items():
        if table not in before:
            _remove(tool, table, lines)
        elif _without_counters(lines) != _without_counters(before[table]):
            tool.restore(_text(table, before[table]), flush=True, counters=True)


def _remove(tool: Tool, table: str, lines: list[str]) -> None:
    if table in tool.hidden_tables:
        # It was there: there is no telling what was in it.
        return
    family = "ip6" if tool.binary.startswith("ip6") else "ip"
    if not tool.legacy and run(["nft", "delete", "table", family, table]).status == 0:
        return
    # iptables itself can empty a table, and not remove it. An empty one does nothing.
    built_in = [line for line in lines if line.startswith(":") and line.split()[1] != "-"]
    tool.restore(_text(table, built_in), flush=True)


def parse_tables(saved: str) -> Tables:
    tables: Tables = {}
    lines: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            lines = tables.setdefault(line[1:].strip(), [])
        elif line and not line.startswith("#") and line != "COMMIT":
            lines.append(line)
    return tables


def _without_counters(lines: list[str]) -> list[str]:
    plain = (line.partition("] ")[2] if line.startswith("[") else line.partition(" [")[0] for line in lines)
    return list(plain)


def _text(table: str, lines: list[str]) -> str:
    return f"*{table}\n" + "".join(f"{line}\n" for line in lines) + "COMMIT\n"
