"""Removes rules of ours: those that the flags describe, and every chain that begins with ISTIO_."""

import copy
from collections.abc import Sequence

from meshproxy.iptables.dry_run import DryTool
from meshproxy.iptables.log import Log
from meshproxy.iptables.options import Config
from meshproxy.iptables.restore import cleanup_commands, leftovers_text, lone_deletions, parse_state
from meshproxy.iptables.rules import OURS, V4, V6, Rule, build_rules
from meshproxy.iptables.tools import Tool, find_tool


def clean(config: Config, sides: Sequence[tuple[Tool | DryTool, Sequence[Rule]]], log: Log) -> list[str]:
    """``sides`` are the programs of a family and its planned rules. Returns the programs that found some to remove."""
    cleaned = []
    for tool, rules in sides:
        if isinstance(tool, DryTool):
            tool.run_all(cleanup_commands(rules))
        elif _clean(config, tool, rules, log):
            cleaned.append(tool.binary)
    return cleaned


def clean_other_set(config: Config, used: Sequence[str], log: Log) -> list[str]:
    """The same for the other of the kernel's tables, where another program may have put rules of ours."""
    cleaned = []
    for binary in ("iptables-legacy", "iptables-nft", "ip6tables-legacy", "ip6tables-nft"):
        # The plain name is one of the two, and to remove what is removed already does no harm.
        tool = None if binary in used else find_tool(binary)
        if tool is not None and f":{OURS}" in tool.saved:
            _clean(config, tool, build_rules(config, V6 if binary.startswith("ip6") else V4), log)
            cleaned.append(binary)
    return cleaned


def _clean(config: Config, tool: Tool, rules: Sequence[Rule], log: Log) -> bool:
    before = tool.save()
    if f":{OURS}" not in before and not rules:
        return False
    ours = [*rules, *_tproxy_rules(config, tool)]
    # What can be seen goes in one piece below.
    for command in cleanup_commands(ours) if tool.hidden_tables else lone_deletions(ours):
        outcome = tool.run(command)
        if outcome.status:
            log.debug(f"{tool.binary} {' '.join(command)}: {outcome.reason}")
    leftovers = leftovers_text(parse_state(tool.save()))
    if leftovers:
        log.debug(f"{tool.restore_binary} --noflush:\n{leftovers}")
        tool.restore(leftovers)
    return parse_state(tool.save()) != parse_state(before)


def _tproxy_rules(config: Config, tool: Tool) -> Sequence[Rule]:
    """Rules of an earlier run with TPROXY: some are in chains that stay, where only the flags could tell of them."""
    if config.tproxy or f"{OURS}TPROXY" not in parse_state(tool.save())["mangle"]:
        return ()
    other = copy.copy(config)
    other.interception_mode = "TPROXY"
    other.ipv6 = True
    family = V6 if tool.binary.startswith("ip6") else V4
    return [rule for rule in build_rules(other, family) if rule.table == "mangle"]
