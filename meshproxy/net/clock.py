"""The wall clock as HTTP writes it, formatted once a second."""

import time
from email.utils import formatdate

_second = 0
_text = ""


def http_date() -> str:
    """Now as an IMF-fixdate (RFC 9110 §5.6.7)."""
    global _second, _text
    now = int(time.time())
    if now != _second:
        _second = now
        _text = formatdate(now, usegmt=True)
    return _text
