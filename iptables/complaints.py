"""What a program complains about, as the one line that an operator reads: who refused what, and what to check."""

from meshproxy.iptables.commands import Outcome

# In the complaint, and what to check then. The first that fits counts.
HINTS = (
    ("ermission denied", "the container needs the capabilities NET_ADMIN and NET_RAW, or to be root"),
    ("not permitted", "the container needs the capabilities NET_ADMIN and NET_RAW, or to be root"),
    ("already exists", "rules of an earlier run are there: --reconcile replaces them, --cleanup-only removes them"),
    ("lock", "another program changes the rules; try again"),
    ("No such file", "does this kernel have the modules for it?"),
    ("match by that name", "does this kernel have the modules for it?"),
    ("does not exist", "does this kernel have the modules for it?"),
    ("Extension", "does this kernel have the modules for it?"),
)


def explain(program: str, outcome: Outcome, text: str = "") -> str:
    """``text`` is what the program was given to read."""
    reason = outcome.reason
    line = refused_line(outcome.err, text)
    otherwise = "check the flag that this rule comes from" if line else "does this kernel support it?"
    hint = next((hint for part, hint in HINTS if part in reason), otherwise)
    return f"{program}: {reason}{f' (at {line!r})' if line else ''}: {hint}"


def refused_line(complaint: str, text: str) -> str:
    """The line of ``text`` that ``line 7 failed``, ``Error occurred at line: 7`` or ``/dev/stdin:7:1-9:`` is about."""
    lines = text.splitlines()
    _, _, after = complaint.replace("line:", "line").replace("/dev/stdin:", "line ").partition("line ")
    number = after.replace(":", " ").split()[0] if after.split() else ""
    if not number.isdigit() or not 0 < int(number) <= len(lines) or lines[int(number) - 1] == "COMMIT":
        return ""
    return lines[int(number) - 1]
