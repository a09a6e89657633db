"""Times as format strings write them: strftime, Envoy's %s %f %1f-%9f, and abseil's %E3S %E*S %Ez %E4Y."""

import re
import time
from collections.abc import Callable

DEFAULT = "%Y-%m-%dT%H:%M:%E3SZ"
DEFAULT_LOCAL = "%Y-%m-%dT%H:%M:%E3S%z"

_SPECIFIER = re.compile(r"%(?:([1-9])?f|E([0-9]+|\*)([Sf])|(s)|E4(Y)|E\*?(z)|E?(.))", re.DOTALL)
# A line of a log stays one.
_NEWLINE = re.compile(r"%[-_0^#]*[1-9]*[EO]?n")
# How `%E*S` is kept apart from a number of digits.
_AS_NEEDED = -1

Part = str | int


def _parts(text: str) -> list[Part]:
    """strftime formats, and numbers of digits of the second's fraction, in the order in which they stand."""
    parts: list[Part] = []
    end = 0
    for found in _SPECIFIER.finditer(text):
        parts.append(text[end : found.start()])
        end = found.end()
        digits, wide, kind, epoch, year, zone, other = found.groups()
        if kind is not None:
            if kind == "S":
                parts.append("%S" if wide == "0" else "%S." if wide != "*" else "%S")
            parts.append(_AS_NEEDED if wide == "*" else min(int(wide), 9))
        elif other is None and not epoch and not year and not zone:
            parts.append(int(digits or 9))
        else:
            parts.append("%s" if epoch else "%Y" if year else "\0" if zone else f"%{other}")
    parts.append(text[end:])
    return parts


def compile_time(text: str, local: bool = False) -> Callable[[float], str]:
    """A function from seconds since the epoch to text. What stays the same within a second is formatted once in it.

    Raises ValueError in Envoy's words.
    """
    if _NEWLINE.search(text):
        raise ValueError("Invalid header configuration. Format string contains newline.")
    parts = _parts(text)
    convert = time.localtime if local else time.gmtime
    known_second = -1
    known: list[Part] = []

    if not local:
        parts = [part.replace("%Z", "UTC") if isinstance(part, str) else part for part in parts]

    def render(second: int) -> list[Part]:
        broken = convert(second)
        rendered: list[Part] = [""]
        for part in parts:
            if isinstance(part, int):
                rendered += [part, ""]
            else:
                rendered[-1] = f"{rendered[-1]}{_strftime(part, broken, second)}"
        return rendered

    def write(now: float) -> str:
        nonlocal known, known_second
        second = int(now)
        if second != known_second:
            known = render(second)
            known_second = second
        return "".join([_fraction(now - second, part) if isinstance(part, int) else part for part in known])

    known_milli = -1
    text_of_milli = ""

    def write_millis(now: float) -> str:
        """The same for one fraction of three digits, as most formats have; a busy proxy asks often in a millisecond."""
        nonlocal known, known_second, known_milli, text_of_milli
        # Microseconds first, for the same digits as every other format prints.
        milli = int(now * 1e6 + 0.5) // 1000
        if milli != known_milli:
            second = milli // 1000
            if second != known_second:
                known = render(second)
                known_second = second
            known_milli = milli
            text_of_milli = f"{known[0]}{milli % 1000:03}{known[2]}"
        return text_of_milli

    return write_millis if [part for part in parts if isinstance(part, int)] == [3] else write


def _strftime(part: str, broken: time.struct_time, second: int) -> str:
    if "%s" in part:
        # time.strftime would read the broken time as local time.
        part = part.replace("%s", str(second))
    if "\0" in part:
        zone = time.strftime("%z", broken)
        part = part.replace("\0", f"{zone[:3]}:{zone[3:]}")
    return time.strftime(part, broken) if "%" in part else part


def _fraction(fraction: float, digits: int) -> str:
    # The clock gives microseconds; what a float shows beyond them is noise.
    nanos = f"{int(fraction * 1e6 + 0.5) % 1_000_000:06}000"
    if digits == _AS_NEEDED:
        shown = nanos.rstrip("0")
        return f".{shown}" if shown else ""
    return nanos[:digits]
