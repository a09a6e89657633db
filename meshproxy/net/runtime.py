"""Runtime values: layers of keys that an operator can change while the proxy runs (Envoy's layered runtime).

What a value can be taken for is decided when it is read (`entry_of`, `parse_entry`), by Envoy's rules; asking for a key
is then one look-up and one attribute.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from meshproxy.net.randomness import source

_randrange = source("percentages").randrange
_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
# Words that YAML 1.1 takes for truth values, in the spellings that Envoy's parser knows.
_TRUE = frozenset(("y", "yes", "true", "on"))
_FALSE = frozenset(("n", "no", "false", "off"))
# Without any of these a text is a plain scalar of YAML.
_SYNTAX = frozenset("{}[]\"'&*!|>@`#:\n")
_LARGEST = 2.0**64


@dataclass(frozen=True, slots=True)
class Fraction:
    """envoy.type.v3.FractionalPercent with its runtime key ("" for none)."""

    numerator: int
    denominator: int = 100
    key: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value: its text, and what it is as an integer, a truth value or a fraction where it can be taken for one."""

    text: str
    integer: int | None = None
    boolean: bool | None = None
    fraction: tuple[int, int] | None = None


# A layer's name and its values.
Layer = tuple[str, Mapping[str, Entry]]


def entry_of(value: Any) -> Entry:
    """A value of a static layer: text, number, truth value, or a dict with numerator and denominator."""
    if isinstance(value, bool):
        return Entry("true" if value else "false", boolean=value)
    if isinstance(value, int | float):
        return _number(format(float(value), "g"), float(value))
    if isinstance(value, dict):
        return Entry(_struct_text(value), fraction=_fraction(value))
    return _legacy(str(value), str(value).strip())


def parse_entry(text: str) -> Entry:
    """A value as it stands in a file or behind /runtime_modify, which is YAML. Raises ValueError."""
    if _SYNTAX.isdisjoint(text):
        return _scalar(text, text.strip())
    # Almost no process needs this.
    import yaml

    try:
        node = next(yaml.compose_all(text, Loader=yaml.CSafeLoader), None)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None
    if isinstance(node, yaml.ScalarNode):
        return Entry(text) if node.style else _scalar(text, node.value)
    if isinstance(node, yaml.MappingNode):
        tree: dict[Any, Any] = {}
        for key, value in node.value:
            # In quotes it is text, and no number.
            number = None if value.style else parse_entry(str(value.value)).integer
            tree[key.value] = value.value if number is None else number
        if not tree.keys().isdisjoint(("numerator", "denominator")):
            return Entry(text, fraction=_fraction(tree))
    return Entry(text)


def _scalar(text: str, word: str) -> Entry:
    if word in (known := word.lower(), word.upper(), word.capitalize()) and known in _TRUE | _FALSE:
        return Entry(text, boolean=known in _TRUE)
    return _legacy(text, word)


def _legacy(text: str, word: str) -> Entry:
    """A number that is written as text counts as one; a truth value does not."""
    if not word.isascii() or "_" in word:
        return Entry(text)
    try:
        return _number(text, float.fromhex(word) if "0x" in word.lower() else float(word))
    except (ValueError, OverflowError):
        return Entry(text)


def _number(text: str, value: float) -> Entry:
    integer = int(value) if 0 <= value < _LARGEST else None
    # A truth value is a whole number, as C knows them.
    return Entry(text, integer, value != 0 if value.is_integer() and abs(value) < _LARGEST / 2 else None)


def _fraction(tree: Mapping[str, Any]) -> tuple[int, int]:
    numerator = tree.get("numerator", 0)
    known = isinstance(numerator, int | float) and 0 <= numerator < _LARGEST
    return int(numerator) if known else 0, _DENOMINATORS.get(str(tree.get("denominator")), 100)


def _struct_text(tree: Mapping[str, Any]) -> str:
    """As protobuf writes a Struct, which is what Envoy shows of a fraction."""
    lines = []
    for key, value in sorted(tree.items()):
        shown = f'string_value: "{value}"' if isinstance(value, str) else f"number_value: {value}"
        lines.append(f'fields {{\n  key: "{key}"\n  value {{\n    {shown}\n  }}\n}}\n')
    return "".join(lines)


class Runtime:
    """Later layers win. Reads go to one merged dict, made anew when a layer changes."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._merged: dict[str, Entry] = {}
        # Called whenever values may have changed.
        self.changed: list[Callable[[], None]] = []

    def set_layers(self, layers: Iterable[Layer]) -> None:
        """These, lowest first, in place of all that there were."""
        self.layers = list(layers)
        self._merged = {key: entry for _, layer in self.layers for key, entry in layer.items()}
        for changed in self.changed:
            changed()

    def set_layer(self, name: str, values: Mapping[str, Any]) -> None:
        """Adds a layer of plain values at the end, or replaces it where it is."""
        fresh: Layer = (name, {key: entry_of(value) for key, value in values.items()})
        names = [known for known, _ in self.layers]
        at = names.index(name) if name in names else len(names)
        self.set_layers([*self.layers[:at], fresh, *self.layers[at + 1 :]])

    def get(self, key: str) -> Entry | None:
        return self._merged.get(key)

    def keys_below(self, prefix: str) -> list[str]:
        """The keys that begin with it."""
        return [key for key in self._merged if key.startswith(prefix)]

    @property
    def count(self) -> int:
        """How many keys there are."""
        return len(self._merged)

    def integer(self, key: str, default: int) -> int:
        entry = self._merged.get(key)
        return default if entry is None or entry.integer is None else entry.integer

    def number(self, key: str, default: float) -> float:
        """As `integer`, with its fraction."""
        entry = self._merged.get(key)
        if entry is None:
            return default
        try:
            return float(entry.text)
        except ValueError:
            return default

    def boolean(self, key: str, default: bool) -> bool:
        entry = self._merged.get(key)
        return default if entry is None or entry.boolean is None else entry.boolean

    def enabled(self, fraction: Fraction, random: int | None = None) -> bool:
        """Whether this one time falls inside the fraction. `random`: a stable value instead of a fresh one."""
        numerator, denominator = fraction.numerator, fraction.denominator
        if fraction.key and (entry := self._merged.get(fraction.key)) is not None:
            if entry.fraction is not None:
                numerator, denominator = entry.fraction
            elif entry.integer is not None:
                numerator, denominator = entry.integer, 100
        if numerator >= denominator:
            return True
        if numerator <= 0:
            return False
        return (_randrange(denominator) if random is None else random % denominator) < numerator
