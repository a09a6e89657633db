"""Regular expressions of `stats_tags`, which are std::regex's ECMAScript, as Python's.

The two mean the same by what both have. What only Python has is refused, and what is wrong has the words of the C++
library that Envoy is built with; POSIX classes are written out.
"""

import re

# Starts of what libc++ says, by starts of what Python says.
_WORDS = {
    "missing )": "The expression contained mismatched ( and ).",
    "unbalanced parenthesis": "The parser did not consume the entire regular expression.",
    "unterminated character set": "The expression contained mismatched [ and ].",
    "bad character range": "The expression contained an invalid character range, such as [b-a] in most encodings.",
    "bad escape": "The expression contained an invalid escaped character, or a trailing escape.",
    "incomplete escape": "The expression contained an invalid escaped character, or a trailing escape.",
    "invalid group reference": "The expression contained an invalid back reference.",
    "cannot refer to an open group": "The expression contained an invalid back reference.",
    "min repeat greater": "The expression contained an invalid range in a {} expression.",
    "unknown class": "The expression contained an invalid character class name.",
}
_REPEAT = "One of *?+{ was not preceded by a valid regular expression."

_POSIX_CLASS = re.compile(r"\[:(\w+):\]")
_POSIX = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "xdigit": "0-9a-fA-F",
    "space": r"\s", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "graph": "!-~", "print": " -~",
    "punct": r"!-/:-@\[-`{-~", "w": r"\w", "d": r"\d", "s": r"\s",
}  # fmt: skip
# What may follow `(?`, and letters that may follow a backslash.
_GROUPS = ":=!"
_ESCAPES = "bBdDsSwWfnrtvcxu0123456789"


def compile_ecmascript(regex: str) -> re.Pattern[str]:
    """Raises ValueError with Envoy's words."""
    try:
        _refuse_other(regex)
        return re.compile(_POSIX_CLASS.sub(_posix_class, regex), re.ASCII)
    except re.error as error:
        words = next((text for start, text in _WORDS.items() if error.msg.startswith(start)), _REPEAT)
        raise ValueError(f"Invalid regex '{regex}': {words}") from None


def _refuse_other(regex: str) -> None:
    """What Python would take: look-behind, flags and names of groups, its own escapes, possessive repeats."""
    place = 0
    inside = False
    while place < len(regex):
        here, following = regex[place], regex[place + 1 : place + 2]
        if here == "\\":
            if following.isalnum() and following not in _ESCAPES:
                raise re.error("bad escape")
            place += 1
        elif inside or here == "[":
            inside = here != "]" or not inside
        elif here == "(" and following == "?" and regex[place + 2 : place + 3] not in [*_GROUPS]:
            raise re.error("unknown extension")
        elif here in "*+?}" and following in ("+", "*"):
            raise re.error("multiple repeat")
        place += 1


def _posix_class(found: re.Match[str]) -> str:
    if found.group(1) not in _POSIX:
        raise re.error(f"unknown class [:{found.group(1)}:]")
    return _POSIX[found.group(1)]
