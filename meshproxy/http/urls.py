"""Absolute URLs, as Envoy reads those of a Location (Http::Utility::Url)."""

import re

from meshproxy.http.h1_lines import lower_ascii

_URL = re.compile(
    r"([A-Za-z]+)://(?:[^/?#@\s]*@)?((?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)"
    r"([/?#][\x21-\x7e\x80-\xff]*)?\Z"
)


def split_url(text: str) -> tuple[str, str, str] | None:
    """(scheme, host and port, path with all behind it), without a user; None for what is no absolute URL."""
    match = _URL.match(text)
    if match is None:
        return None
    scheme, host, rest = match.groups()
    port = host.rpartition(":")[2]
    if ":" in host and port.isdigit() and int(port) > 65535:
        return None
    rest = rest or "/"
    return lower_ascii(scheme), host, rest if rest[0] == "/" else f"/{rest}"
