"""Which iptables programs to use, and using them.

A machine may have two sets, one for each of the kernel's tables (legacy and nf_tables). Rules that are there already
decide for legacy; else nf_tables is taken, then the plain name, then legacy.
A set that cannot change rules is passed by.
"""

from collections.abc import Sequence

from meshproxy.iptables.commands import Outcome, run
from meshproxy.iptables.complaints import explain, refused_line
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.restore import Command

# A protocol that does not exist: the rule never matches.
PROBE = ("INPUT", "-p", "255", "-j", "RETURN")
LOCKING = (1, 6, 2)
LOCK_FILE = (1, 8, 6)


class MissingError(SetupError):
    """A program is not there."""

    def __init__(self, binary: str) -> None:
        super().__init__(f"there is no {binary} in PATH: install the package iptables in the image that runs this")


class Tool:
    """The programs of one set and family: ``iptables-nft``, its ``-save`` and its ``-restore``."""

    def __init__(self, binary: str, saved: str) -> None:
        self.binary = binary
        self.saved = saved
        "What was there before we touched anything, with counters."
        self.version, self.legacy = _version(run([f"{binary}-save", "--version"]).out)
        self.environment: dict[str, str] = {}

    @property
    def hidden_tables(self) -> list[str]:
        """Tables with rules that were made by nft itself, and that iptables has no words for."""
        return [line.split("`")[1].split("'")[0] for line in self.saved.splitlines() if "is incompatible" in line]

    @property
    def restore_binary(self) -> str:
        return f"{self.binary}-restore"

    @property
    def locks(self) -> bool:
        return self.legacy and self.version >= LOCKING

    @property
    def lock_by_file(self) -> bool:
        """The lock may be another file than that of the host."""
        return self.legacy and self.version >= LOCK_FILE

    def save(self, counters: bool = False) -> str:
        """Raises SetupError."""
        outcome = run([f"{self.binary}-save", *(["-c"] if counters else [])], environment=self.environment)
        if outcome.status:
            raise SetupError(f"{self.binary}-save: {outcome.reason}")
        return outcome.out

    def run(self, command: Command) -> Outcome:
        return run([self.binary, *command, *self._wait()], environment=self.environment)

    def restore(self, text: str, flush: bool = False, counters: bool = False) -> None:
        """All of a table or nothing of it. ``flush``: the tables in ``text`` become that text. Raises SetupError."""
        options = [*([] if flush else ["--noflush"]), *(["--counters"] if counters else [])]
        outcome = run([self.restore_binary, *options, *self._wait()], text, self.environment)
        if outcome.status:
            raise SetupError(explain(self.restore_binary, outcome, text))

    def first_missing(self, checks: str) -> str:
        """The first line of ``checks`` (see ``check_text``) that does not hold; empty if all do."""
        outcome = run([self.restore_binary, "--noflush", *self._wait()], checks, self.environment)
        return (refused_line(outcome.err, checks) or outcome.reason) if outcome.status else ""

    def _wait(self) -> Sequence[str]:
        return ("--wait=30",) if self.locks else ()


def find_tool(binary: str) -> Tool | None:
    """The set of that name, if the machine has it; nothing is tried with it."""
    saved = run([f"{binary}-save", "-c"])
    return None if saved.status else Tool(binary, saved.out)


def choose_tool(plain: str, forced: str = "") -> Tool:
    """``plain`` is iptables or ip6tables; ``forced`` is legacy, nft or empty. Raises SetupError."""
    if forced:
        return _usable(f"{plain}-{forced}")
    legacy = find_tool(f"{plain}-legacy")
    # Whatever the plain name is, legacy may be all that the kernel has.
    candidates = [f"{plain}-nft", plain, f"{plain}-legacy"]
    if legacy is not None and _has_rules(legacy.saved):
        candidates.insert(0, legacy.binary)
    failure: SetupError = MissingError(plain)
    for binary in candidates:
        try:
            return _usable(binary)
        except SetupError as error:
            # The first program that is there and fails says more than one that is not.
            if isinstance(failure, MissingError) and not isinstance(error, MissingError):
                failure = error
    raise failure


def _usable(binary: str) -> Tool:
    saved = run([f"{binary}-save", "-c"])
    if saved.missing:
        raise MissingError(binary)
    if saved.status:
        raise SetupError(explain(f"{binary}-save", saved))
    tool = Tool(binary, saved.out)
    probe = tool.run(["-t", "nat", "-A", *PROBE])
    if probe.status or "does not exist" in probe.err:
        raise SetupError(explain(binary, probe))
    tool.run(["-t", "nat", "-D", *PROBE])
    return tool


def _has_rules(saved: str) -> bool:
    """Rules or chains of somebody. Tables that are there and empty decide nothing."""
    return any(
        "] -A " in f" {line}" or (line.startswith(":") and line.split()[1] == "-") for line in saved.splitlines()
    )


def _version(text: str) -> tuple[tuple[int, ...], bool]:
    """From ``iptables-save v1.8.9 (nf_tables)``. What does not say is very old, and legacy."""
    for word in text.split():
        numbers = word[1:].split(".")
        if word.startswith("v") and all(number.isdigit() for number in numbers):
            return tuple(map(int, numbers)), "nf_tables" not in text
    return (0,), True
