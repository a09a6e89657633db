"""HTML that cannot be injected into: whatever is not HTML by its type is escaped when it is filled in."""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


EMPTY = Html("")


def fill(template: str, **values: object) -> Html:
    """The template (a literal of this program) with each `{name}` replaced; None stands for nothing."""
    return Html(template.format_map({name: safe(value) for name, value in values.items()}))


def join(parts: Iterable[object], between: str = "") -> Html:
    return Html(between.join([safe(each) for each in parts]))


def safe(value: object) -> str:
    """Escaped unless it is Html; characters that do not show (controls, reversed writing) are shown as a mark."""
    if isinstance(value, Html):
        return value
    text = "" if value is None else str(value)
    if not text.isprintable():
        text = "".join([each if each.isprintable() else "\ufffd" for each in text])
    return escape(text)


def wire(text: str) -> str:
    """All of ASCII: the page is written a byte per character."""
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")
