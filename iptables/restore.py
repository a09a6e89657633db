"""Rules as texts: what iptables-restore reads, what iptables-save wrote, and the commands that check and undo."""

from collections.abc import Iterable, Sequence

from meshproxy.iptables.rules import OURS, Rule

# Chains and targets that are there without us.
BUILT_IN = frozenset(("INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING", "ACCEPT", "RETURN", "DROP"))
TABLES = ("filter", "mangle", "nat", "raw")
# So that rules of a run that was killed are found and removed, and nobody else's.
GUARDRAIL = '-m comment --comment "istio guardrail"'

State = dict[str, dict[str, list[str]]]
"Table to chain to rules: chains that have rules, and those of ours."
Command = list[str]
"Arguments of an iptables program."


def restore_text(rules: Sequence[Rule]) -> str:
    """For ``iptables-restore --noflush``: tables by name, their new chains, their rules. Empty without rules."""
    lines: dict[str, list[str]] = {}
    for table, chain in _new_chains(rules):
        lines.setdefault(table, []).append(f"-N {chain}")
    for rule in rules:
        verb = f"-I {rule.chain} {rule.position}" if rule.position else f"-A {rule.chain}"
        lines.setdefault(rule.table, []).append(f"{verb} {rule.body}")
    return "".join(
        f"* {table}\n" + "".join(f"{line}\n" for line in lines[table]) + "COMMIT\n" for table in sorted(lines)
    )


def _new_chains(rules: Sequence[Rule]) -> Iterable[tuple[str, str]]:
    """Chains that have rules, in the order of their first, then those that are only jumped to."""
    chains = dict.fromkeys((rule.table, rule.chain) for rule in rules)
    chains.update(dict.fromkeys((rule.table, rule.target) for rule in rules if rule.target))
    return [(table, chain) for table, chain in chains if chain not in BUILT_IN]


def check_text(rules: Sequence[Rule]) -> str:
    """For ``iptables-restore --noflush``, which fails at the first rule that does not exist, wherever in its chain."""
    lines: dict[str, list[str]] = {}
    for rule in rules:
        lines.setdefault(rule.table, []).append(f"-C {rule.chain} {rule.body}\n")
    return "".join(f"*{table}\n{''.join(lines[table])}COMMIT\n" for table in sorted(lines))


def cleanup_commands(rules: Sequence[Rule]) -> list[Command]:
    """What undoes the rules, last first: rules in chains that stay and jumps to ours, then our chains."""
    backwards = rules[::-1]
    deletions = [
        ["-t", rule.table, "-D", rule.chain, *rule.body.split()]
        for rule in backwards
        if not rule.chain.startswith(OURS) or rule.jumps_to_ours
    ]
    chains = dict.fromkeys((rule.table, rule.chain) for rule in backwards if rule.chain not in BUILT_IN)
    return deletions + [["-t", table, verb, chain] for table, chain in chains for verb in ("-F", "-X")]


def lone_deletions(rules: Sequence[Rule]) -> list[Command]:
    """What ``leftovers_text`` cannot know: rules in chains that stay, which do not jump to ours."""
    return [command for command in cleanup_commands([rule for rule in rules if _stands_alone(rule)]) if "-D" in command]


def _stands_alone(rule: Rule) -> bool:
    return rule.chain in BUILT_IN and not rule.jumps_to_ours


def leftovers_text(state: State) -> str:
    """For ``iptables-restore --noflush``: to be rid of every chain of ours and every jump to one."""
    text = ""
    for table, chains in state.items():
        ours = [chain for chain in chains if chain.startswith(OURS)]
        jumps = [
            f"-D {rule.removeprefix('-A ')}"
            for chain, rules in chains.items()
            if chain not in ours
            for rule in rules
            if f"-j {OURS}" in rule
        ]
        if ours or jumps:
            lines = [*jumps, *(f"-F {chain}" for chain in ours), *(f"-X {chain}" for chain in ours)]
            text += f"*{table}\n" + "".join(f"{line}\n" for line in lines) + "COMMIT\n"
    return text


def guardrails_text() -> str:
    """For the time in which the rules are exchanged: nothing comes in or goes out, rather than uncaptured."""
    lines = [
        f"-I {chain} 1 -p {protocol} {GUARDRAIL} -j DROP\n"
        for chain in ("INPUT", "FORWARD", "OUTPUT")
        for protocol in ("tcp", "udp")
    ]
    return "*filter\n" + "".join(lines) + "COMMIT\n"


def guardrails_cleanup_text(state: State) -> str:
    """Removes what ``state`` has of them; empty if it has none."""
    lines = [
        f"-D {rule.removeprefix('-A ')}\n" for rules in state["filter"].values() for rule in rules if GUARDRAIL in rule
    ]
    return "*filter\n" + "".join(lines) + "COMMIT\n" if lines else ""


def parse_state(saved: str) -> State:
    """What a text of iptables-save, or one for iptables-restore, says."""
    state: State = {table: {} for table in TABLES}
    chains: dict[str, list[str]] = {}
    for line in saved.splitlines():
        words = line.split()
        if line.startswith("*"):
            chains = state.get(line[1:].strip(), {})
        elif line.startswith(f":{OURS}"):
            chains.setdefault(words[0][1:], [])
        elif words[:1] == ["-N"] and words[1].startswith(OURS):
            chains.setdefault(words[1], [])
        elif words[:1] in (["-A"], ["-I"]):
            chains.setdefault(words[1], []).append(line)
    return state


def is_empty(state: State) -> bool:
    return not any(state.values())


def differs(current: State, expected: State) -> str:
    """What of ours is not as planned, without a look at the rules themselves; empty if nothing."""
    for table, chains in expected.items():
        for chain, rules in chains.items():
            there = current[table].get(chain)
            if there is None:
                return (
                    f"table {table} has no chain {chain}"
                    if chain.startswith(OURS)
                    else f"{chain} of table {table} has no rule"
                )
            if chain.startswith(OURS) and len(there) != len(rules):
                return f"chain {chain} of table {table} has {len(there)} rules instead of {len(rules)}"
    for table, chains in current.items():
        for chain in chains:
            if chain.startswith(OURS) and chain not in expected[table]:
                return f"table {table} has a chain {chain} that is not planned"
    return ""
