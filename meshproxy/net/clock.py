"""The wall clock as HTTP writes it, formatted once a second."""

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_second = 0
_text = ""


def http_date() -> str:
    """Now as an IMF-fixdate (RFC 9110 §5.6.7)."""
    global _second, _text
    now = int(time.time())
    if now != _second:
        _second = now
        year, month, day, hour, minute, second, weekday, *_ = time.gmtime(now)
        _text = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT"
    return _text
