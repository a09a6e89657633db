"""Applies the rules of nftables: one transaction, so that there are all of them or, when it fails, what was there."""

from collections.abc import Iterable

from meshproxy.iptables import routes
from meshproxy.iptables.commands import Outcome, run
from meshproxy.iptables.complaints import explain
from meshproxy.iptables.dry_run import Plan
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.log import Log
from meshproxy.iptables.nft import CHAINS, apply_script, cleanup_script
from meshproxy.iptables.options import Config

OLDEST = (1, 0, 1)


def program_nftables(config: Config, log: Log) -> None:
    """The whole of it, routes included. Raises SetupError, and then nothing has changed."""
    script = cleanup_script() if config.cleanup_only else apply_script(config)
    if config.dry_run:
        plan = Plan()
        plan.change(script)
        plan.finish()
        return
    _check_version()
    before = _tables_there()
    if config.reconcile:
        script = _removal(before) + script
    log.debug(f"nft -f -:\n{script}")
    try:
        _run(script)
    except SetupError as error:
        if not before or config.reconcile:
            raise
        raise SetupError(f"{error}; tables of these names are there already: --reconcile replaces them") from None
    if config.cleanup_only:
        from meshproxy.iptables.clean import clean_other_set

        cleaned = ["nft", *clean_other_set(config, (), log)]
        routes.remove(config)
        log.info(f"removed the rules with {', '.join(cleaned)}")
        return
    try:
        if config.reconcile:
            routes.remove(config, planned=False)
        routes.add(config)
    except BaseException:
        # Tables of an earlier run come back as they were, others go.
        _run(cleanup_script() + "".join(before.values()))
        raise
    log.info(f"applied {script.count(' rule inet ')} rules with nft")


def remove_tables() -> list[str]:
    """For cleaning with iptables: our tables go too, where they are. ["nft"] if there were some. Raises SetupError."""
    listed = run(["nft", "list", "tables", "inet"])
    names = [] if listed.status else _names(listed.out)
    if names:
        _run(_removal(names))
    return ["nft"] if names else []


def _names(listed: str) -> list[str]:
    names = (line.split()[-1] for line in listed.splitlines() if line)
    return [name for name in names if name in CHAINS]


def _tables_there() -> dict[str, str]:
    """Our tables that exist, each as a script that makes it again. Raises SetupError."""
    listed = _checked(run(["nft", "list", "tables", "inet"]), "")
    return {name: _checked(run(["nft", "list", "table", "inet", name]), "") for name in _names(listed)}


def _removal(tables: Iterable[str]) -> str:
    """Without it a table that is not needed any more, and its rules, would stay."""
    return "".join(f"delete table inet {table}\n" for table in tables)


def _run(script: str) -> None:
    _checked(run(["nft", "-f", "-"], script), script)


def _checked(outcome: Outcome, script: str) -> str:
    if outcome.missing:
        raise SetupError(
            "there is no nft in PATH: install the package nftables in the image, or leave --native-nftables out"
        )
    if outcome.status:
        raise SetupError(explain("nft", outcome, script))
    return outcome.out


def _check_version() -> None:
    text = _checked(run(["nft", "--version"]), "")
    words = [word[1:].split(".") for word in text.split() if word.startswith("v")]
    version = tuple(int(number) for number in words[0] if number.isdigit()) if words else ()
    if version and version < OLDEST:
        raise SetupError(f"nft is {text.strip()}, and 1.0.1 or later is needed: install a later nftables")
