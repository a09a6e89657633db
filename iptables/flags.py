"""A command line as Go programs read it (spf13/pflag), which scripts and injection templates rely on.

``--name value``, ``--name=value``, ``-n value``, ``-nvalue``, ``-n=value``; a truth needs no value and takes one only
after ``=``; short truths may be glued; ``--`` ends the flags; what is no flag is let pass; the last one given wins.
"""

from collections.abc import Iterable, Sequence

from meshproxy.iptables.errors import UsageError
from meshproxy.iptables.values import parse_bool, parse_duration, parse_uint16

Value = str | bool | int | float | list[str]


class Flag:
    """One flag. ``kind`` is Go's word for the type: string, bool, uint16, duration (seconds here), stringArray."""

    __slots__ = ("attribute", "default", "env", "kind", "name", "short", "usage")

    def __init__(
        self,
        name: str,
        attribute: str,
        usage: str,
        *,
        short: str = "",
        kind: str = "string",
        default: Value = "",
        env: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.short = short
        self.attribute = attribute
        self.kind = kind
        self.default = default
        self.env = env
        self.usage = usage

    def read(self, text: str) -> Value:
        """The value that ``text`` stands for; ValueError says why it stands for none."""
        match self.kind:
            case "bool":
                return parse_bool(text)
            case "uint16":
                return parse_uint16(text)
            case "duration":
                return parse_duration(text)
            case _:
                return text


class HelpAsked(Exception):
    """-h or --help."""


class Flags:
    """The flags of a command and the values they have been given so far, by attribute."""

    def __init__(self, flags: Iterable[Flag]) -> None:
        self.flags = tuple(flags)
        self.values: dict[str, Value] = {flag.attribute: flag.default for flag in self.flags}
        self._long = {flag.name: flag for flag in self.flags}
        self._short = {flag.short: flag for flag in self.flags if flag.short}
        self._given: set[str] = set()

    def set(self, flag: Flag, text: str) -> None:
        """Raises ValueError."""
        value = flag.read(text)
        if flag.kind == "stringArray":
            earlier = self.values[flag.attribute] if flag.name in self._given else []
            assert isinstance(earlier, list)
            value = [*earlier, text]
        self.values[flag.attribute] = value
        self._given.add(flag.name)

    def parse(self, arguments: Sequence[str]) -> None:
        """Raises UsageError for what pflag refuses, HelpAsked for what asks for help."""
        rest = list(arguments)
        while rest:
            argument = rest.pop(0)
            if argument == "--":
                return
            if argument.startswith("--"):
                self._parse_long(argument, rest)
            elif argument.startswith("-") and argument != "-":
                self._parse_short(argument[1:], rest)

    def _parse_long(self, argument: str, rest: list[str]) -> None:
        name, equals, value = argument[2:].partition("=")
        if not name or name.startswith("-"):
            raise UsageError(f"bad flag syntax: {argument}")
        if name == "help":
            raise HelpAsked
        flag = self._long.get(name)
        if flag is None:
            raise UsageError(f"unknown flag: --{name}")
        if not equals:
            if flag.kind == "bool":
                value = "true"
            elif rest:
                value = rest.pop(0)
            else:
                raise UsageError(f"flag needs an argument: --{name}")
        self._set_given(flag, value)

    def _parse_short(self, letters: str, rest: list[str]) -> None:
        whole = letters
        while letters:
            letter = letters[0]
            if letter == "h":
                raise HelpAsked
            flag = self._short.get(letter)
            if flag is None:
                raise UsageError(f"unknown shorthand flag: '{letter}' in -{whole}")
            after, letters = letters[1:], letters[1:]
            if len(after) > 1 and after[0] == "=":
                value, letters = after[1:], ""
            elif flag.kind == "bool":
                value = "true"
            elif after:
                value, letters = after, ""
            elif rest:
                value = rest.pop(0)
            else:
                raise UsageError(f"flag needs an argument: '{letter}' in -{whole}")
            self._set_given(flag, value)

    def _set_given(self, flag: Flag, value: str) -> None:
        try:
            self.set(flag, value)
        except ValueError as reason:
            both = f"-{flag.short}, --{flag.name}" if flag.short else f"--{flag.name}"
            raise UsageError(f'invalid argument "{value}" for "{both}" flag: {reason}') from None

    def usage(self) -> str:
        """One line per flag, by name, in columns."""
        rows = []
        for flag in sorted(self.flags, key=lambda flag: flag.name):
            short = f"-{flag.short}, " if flag.short else "    "
            kind = "" if flag.kind == "bool" else f" {flag.kind}"
            rows.append((f"  {short}--{flag.name}{kind}", flag.usage + _default_text(flag)))
        rows.append(("  -h, --help", "This text"))
        width = max(len(left) for left, _ in rows) + 3
        return "".join(f"{left:<{width}}{right}\n" for left, right in rows)


def _default_text(flag: Flag) -> str:
    if not flag.default:
        return ""
    match flag.kind:
        case "string":
            return f' (default "{flag.default}")'
        case "duration":
            return f" (default {flag.default:g}s)"
        case "stringArray":
            return f" (default {flag.default})"
        case _:
            return f" (default {flag.default})"
