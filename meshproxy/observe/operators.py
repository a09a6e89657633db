"""The operators of format strings: what `%NAME(argument):length%` means, one maker per name.

A maker runs once, when a configuration arrives, and gives a getter; a getter takes a stream (or a TCP session, which
offers the same attributes) and gives a value: text on the wire (Latin-1), a number, a tree of a JSON value, or None
where there is none. Source: Envoy's substitution formatters; the error texts are Envoy's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from meshproxy.observe.demand import DEMAND
from meshproxy.observe.json_text import dump

# What formats read: a Stream, or the ConnectionRecord of a connection that is not HTTP, which has the same attributes.
Exchange = Any
Value = str | int | float | bool | dict[str, Any] | list[Any] | None
Getter = Callable[[Exchange], Value]
Maker = Callable[[str, int | None], Getter]


@dataclass(frozen=True, slots=True)
class Operator:
    """One name and what may stand behind it."""

    make: Maker
    # Whether `(argument)` may stand, has to stand with something in it, or may not.
    argument: str = "none"
    length: bool = False
    # False: nothing here measures it, so it always prints as missing; validation names it.
    measured: bool = True


Operators = Mapping[str, Operator]
TABLE: dict[str, Operator] = {}


def plain(name: str, get: Getter, measured: bool = True) -> None:
    """Registers an operator that takes neither argument nor length."""
    TABLE[name] = Operator(lambda _argument, _length: get, measured=measured)


# Getters that were written as an expression: formats put it in the place of a call, which costs as much as the rest.
CODE: dict[Getter, tuple[str, dict[str, Any]]] = {}


def coded(code: str, **names: Any) -> Getter:
    """The getter that evaluates this Python expression; it may use `stream` and `names`."""
    get: Getter = eval(f"lambda stream: {code}", dict(names))
    CODE[get] = (code, names)
    return get


def counted(name: str, get: Getter) -> None:
    """Registers an operator on bytes that connections count only if somebody asks."""

    def make(_argument: str, _length: int | None) -> Getter:
        DEMAND.wire = True
        return get

    TABLE[name] = Operator(make)


def operator(*names: str, argument: str = "none", length: bool = False) -> Callable[[Maker], Maker]:
    """Registers a maker under each name."""

    def register(make: Maker) -> Maker:
        for name in names:
            TABLE[name] = Operator(make, argument, length)
        return make

    return register


def find(name: str, argument: str | None, length: int | None, extra: Operators) -> Getter:
    """The getter for one `%NAME(argument):length%`; `extra`: operators that formatter extensions add."""
    found = extra.get(name) or TABLE.get(name)
    if found is None:
        raise ValueError(f"Not supported field in StreamInfo: {name}")
    if found.argument == "none" and (argument or length is not None):
        raise ValueError(f"{name} does not take any parameters or length")
    if found.argument == "required" and not argument:
        raise ValueError(f"{name} requires parameters")
    if length is not None and not found.length:
        raise ValueError(f"{name} does not allow length to be specified.")
    return found.make(argument or "", length)


def truncate(get: Getter, length: int | None) -> Getter:
    """The getter with text cut to `length` bytes; other values stay as they are until they become text."""
    if length is None:
        return get

    def cut(stream: Exchange) -> Value:
        value = get(stream)
        return value[:length] if isinstance(value, str) else value

    return cut


class TypedText(str):
    """Text that a text format prints in quotes, because it is one form of a typed value."""

    __slots__ = ()


def text_of(value: Value) -> str | None:
    """A value as a text format prints it."""
    if value is None or (isinstance(value, str) and not isinstance(value, TypedText)):
        return value
    return dump(value)


def nothing(_stream: Exchange) -> None:
    """The getter of what is not known here."""
    return None
