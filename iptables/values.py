"""Values of flags as Go reads them: truth, small numbers, durations. All raise ValueError with Go's reason."""

TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
BASES = {"0x": 16, "0o": 8, "0b": 2}


def parse_bool(text: str) -> bool:
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError(f'"{text}" is neither true nor false')


def parse_uint16(text: str) -> int:
    """0 to 65535; decimal, or with a prefix 0x, 0o, 0b, or octal after a bare 0."""
    base = BASES.get(text[:2].lower(), 8 if text[:1] == "0" and len(text) > 1 else 10)
    digits = text[2:] if text[:2].lower() in BASES else text
    if not digits.isascii() or not digits.replace("_", "").isalnum():
        raise ValueError(f'"{text}" is not a number')
    try:
        value = int(digits, base)
    except ValueError:
        raise ValueError(f'"{text}" is not a number') from None
    if value > 65535:
        raise ValueError(f'"{text}" is out of range, the most is 65535')
    return value


def parse_duration(text: str) -> float:
    """Seconds. ``1h2m3.5s``, ``300ms``, ``-2s`` or ``0``: every number needs a unit."""
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    if not rest:
        raise ValueError(f'invalid duration "{text}"')
    total = 0.0
    while rest:
        number = _leading(rest, "0123456789.")
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("nuµμmsh"))]
        if number.count(".") > 1 or not number.strip("."):
            raise ValueError(f'invalid duration "{text}"')
        if not unit:
            raise ValueError(f'missing unit in duration "{text}", as in 5s or 300ms')
        if unit not in SECONDS:
            raise ValueError(f'unknown unit "{unit}" in duration "{text}"')
        total += float(number) * SECONDS[unit]
        rest = rest[len(unit) :]
    return -total if text[0] == "-" else total


def _leading(text: str, allowed: str) -> str:
    return text[: len(text) - len(text.lstrip(allowed))]
