"""Makes the namespace's rules the planned ones: applies, replaces or leaves alone. What fails leaves all as it was."""

import signal
from collections.abc import Sequence

from meshproxy.iptables import clean, routes
from meshproxy.iptables.dry_run import DryTool, Plan
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.log import Log
from meshproxy.iptables.options import Config
from meshproxy.iptables.restore import (
    check_text,
    differs,
    guardrails_cleanup_text,
    guardrails_text,
    is_empty,
    parse_state,
    restore_text,
)
from meshproxy.iptables.rules import OURS, V4, V6, Family, Rule, build_rules
from meshproxy.iptables.snapshot import roll_back
from meshproxy.iptables.tools import Tool, choose_tool, find_tool


class Side:
    """One family: its rules, and the programs that apply them. IPv6 has no rules where it is off."""

    def __init__(self, family: Family, rules: Sequence[Rule], tool: Tool | DryTool) -> None:
        self.family = family
        self.rules = rules
        self.tool = tool
        self.text = restore_text(rules)
        self.difference = ""
        "What is not as planned; empty when all rules are there."
        self.occupied = False
        "Something is there already: chains of ours, or anybody's rules."
        self.guarded = False
        "A run that was killed while it exchanged rules has left its guardrails: nothing passes."

    def look(self) -> None:
        """Compares what is there with the plan: chains of ours, how many rules they have, and that each rule exists."""
        current = parse_state(self.tool.save())
        expected = parse_state(self.text)
        self.guarded = bool(guardrails_cleanup_text(current))
        self.occupied = not is_empty(current)
        if not self.occupied:
            self.difference = "" if is_empty(expected) else "no rules are there"
            return
        self.difference = differs(current, expected)
        if not self.difference:
            missing = self.tool.first_missing(check_text(self.rules))
            self.difference = f"a rule is missing: {missing.removeprefix('-C ')}" if missing else ""

    def chain_in_the_way(self) -> str:
        """A chain that the plan creates and that is there already."""
        current = parse_state(self.tool.save())
        planned = parse_state(self.text)
        return next(
            (
                f"{chain} of table {table}"
                for table, chains in planned.items()
                for chain in chains
                if chain.startswith(OURS) and chain in current[table]
            ),
            "",
        )


def program_iptables(config: Config, log: Log) -> None:
    """The whole of it, routes included. Raises SetupError, and then nothing has changed."""
    if config.dry_run:
        plan = Plan()
        sides = [
            Side(V4, build_rules(config, V4), DryTool("iptables", plan)),
            Side(V6, build_rules(config, V6), DryTool("ip6tables", plan)),
        ]
        _program(config, sides, log)
        plan.finish()
        return
    sides = _choose_sides(config, log)
    tools = [side.tool for side in sides if isinstance(side.tool, Tool)]
    try:
        done = _program(config, sides, log)
        if config.cleanup_only:
            routes.remove(config)
        else:
            if config.reconcile:
                routes.remove(config, planned=False)
            routes.add(config)
    except BaseException as error:
        # A signal too: a pod with half its rules, or with the guardrails, has no network.
        _roll_back(tools, error)
        raise
    if done:
        log.info(done)


def _choose_sides(config: Config, log: Log) -> list[Side]:
    four = choose_tool("iptables", config.force_binary)
    six: Tool | None
    try:
        if config.ipv6:
            six = choose_tool("ip6tables", config.force_binary)
        else:
            # Without rules to apply nothing is tried, but rules of an earlier run are seen.
            six = find_tool(four.binary.replace("iptables", "ip6tables", 1))
            if six is None:
                log.debug("there is no ip6tables, and IPv6 is off")
    except SetupError as error:
        _roll_back([four], error)
        raise SetupError(f"IPv6 is on, and ip6tables cannot be used: {error}") from None
    for tool in filter(None, (four, six)):
        log.debug(f"using {tool.binary} {'.'.join(map(str, tool.version))}")
        for table in tool.hidden_tables:
            log.warn(f"table {table} has rules of nft that {tool.binary} cannot show: ours are not found again there")
        if config.cni_mode and tool.lock_by_file and config.network_namespace:
            tool.environment["XTABLES_LOCKFILE"] = config.network_namespace
    sides = [Side(V4, build_rules(config, V4), four)]
    return [*sides, Side(V6, build_rules(config, V6), six)] if six else sides


def _roll_back(tools: Sequence[Tool], because: BaseException) -> None:
    # Whoever wants us to stop gets a whole namespace back.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    failures = []
    for tool in tools:
        try:
            roll_back(tool)
        except SetupError as error:
            failures.append(str(error))
    if failures:
        raise SetupError(f"{because}; and the rules could not be put back: {'; '.join(failures)}") from None


def _program(config: Config, sides: Sequence[Side], log: Log) -> str:
    """What was done, for the log."""
    for side in sides:
        side.look()
        log.debug(f"{side.family.name}: {side.difference or 'all rules are there'}")
    planned = [side for side in sides if side.rules]
    occupied = any(side.occupied for side in planned)
    differences = [side.difference for side in sides if side.difference]
    different = bool(differences) or not occupied
    done = ", ".join(
        f"{len(side.rules)} rules for {side.family.name} with {side.tool.restore_binary}" for side in planned
    )
    if config.cleanup_only:
        cleaned = clean.clean(config, [(side.tool, side.rules) for side in sides], log)
        if not config.dry_run:
            cleaned += clean.clean_other_set(config, [side.tool.binary for side in sides], log)
            from meshproxy.iptables.nft_apply import remove_tables

            cleaned += remove_tables()
        done = f"removed the rules with {', '.join(cleaned)}" if cleaned else "no rules are there, nothing to remove"
    elif occupied and different and config.reconcile:
        _reconcile(config, sides, planned, log)
        done = f"replaced the rules: {done}"
    elif different or config.force_apply:
        _apply(planned, log)
        done = f"applied {done}"
    else:
        done = "all rules are there already, nothing to do"
    for side in sides:
        if side.guarded:
            log.warn(f"{side.family.name}: a run that was killed had left all traffic blocked, it passes again")
            _remove_guardrails(side.tool)
    for side in planned:
        log.debug(f"{side.family.name} now:\n{side.tool.save()}")
    return done


def _apply(planned: Sequence[Side], log: Log) -> None:
    for side in planned:
        in_the_way = side.chain_in_the_way() if side.occupied else ""
        if in_the_way:
            differences = [f": {each.difference} ({each.family.name})" for each in planned if each.difference]
            raise SetupError(
                f"chain {in_the_way} ({side.family.name}) exists already, and not all is as planned"
                f"{''.join(differences[:1])}; --reconcile replaces the rules, --cleanup-only removes them"
            )
    for side in planned:
        if isinstance(side.tool, DryTool):
            log.info(f"{side.family.name}: this would be the input of {side.tool.restore_binary} --noflush")
        else:
            log.debug(f"{side.tool.restore_binary} --noflush:\n{side.text}")
        side.tool.restore(side.text)


def _reconcile(config: Config, sides: Sequence[Side], planned: Sequence[Side], log: Log) -> None:
    """Behind guardrails, so that nothing passes uncaptured between the old rules and the new ones."""
    for side in planned:
        _remove_guardrails(side.tool)
        side.tool.restore(guardrails_text())
    clean.clean(config, [(side.tool, side.rules) for side in sides], log)
    _apply(planned, log)
    for side in planned:
        _remove_guardrails(side.tool)


def _remove_guardrails(tool: Tool | DryTool) -> None:
    text = guardrails_cleanup_text(parse_state(tool.save()))
    if text:
        tool.restore(text)
