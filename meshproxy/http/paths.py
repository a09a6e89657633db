"""What happens to a request's path and host before anything looks at them (Envoy's PathUtil and HeaderUtility)."""

import re

_MEMO_SIZE = 4096
_MEMO_PATH = 256

# Characters that a normalised path has as they are, and those of them that are never escaped.
_KEPT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,/:;=@[]")
_UNESCAPED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# No dot behind a slash, no escape, no backslash: the path is normal already.
_PLAIN = re.compile(r"(?:/(?!\.)|[A-Za-z0-9\-._~!$&'()*+,:;=@\[\]])*\Z")
# `..;x=1` is a dot segment with parameters: some origins take it for `..`, so Envoy does as well.
_DOTS_WITH_PARAMETERS = re.compile(r"(?<=/)(\.\.?);[^/]*(?=/|\Z)")
_HEX = frozenset("0123456789abcdefABCDEF")


class NormalPaths(dict[str, str | None]):
    """path without query -> the path by RFC 3986 as Envoy normalises it (Chromium's rules); None: it is refused."""

    def __missing__(self, path: str) -> str | None:
        normal = path if _PLAIN.match(path) else _normalise(path)
        if len(path) <= _MEMO_PATH:
            if len(self) >= _MEMO_SIZE:
                self.clear()
            self[path] = normal
        return normal


NORMAL_PATHS = NormalPaths()


def normalise_path(target: str) -> str | None:
    """A request target with its path normalised; None where the path cannot be (an escaped NUL)."""
    path, mark, query = target.partition("?")
    normal = NORMAL_PATHS[path]
    return None if normal is None else normal + mark + query


def merge_slashes(target: str) -> str:
    """A request target in whose path no two slashes stand together."""
    path, mark, query = target.partition("?")
    if "//" not in path:
        return target
    merged = "/".join([part for part in path.split("/") if part])
    start = "/" if path[0] == "/" else ""
    end = "/" if path[-1] == "/" else ""
    return start + merged + end + mark + query


def unescape_slashes(target: str) -> str:
    """A request target in whose path %2F and %5C are the characters that they stand for."""
    path, mark, query = target.partition("?")
    if "%" not in path:
        return target
    for escaped, character in (("%2F", "/"), ("%2f", "/"), ("%5C", "\\"), ("%5c", "\\")):
        path = path.replace(escaped, character)
    return path + mark + query


def strip_trailing_dot(host: str) -> str:
    """`example.com.` and `example.com.:80` without the dot."""
    dot = host.rfind(".")
    if dot < 0:
        return host
    if dot == len(host) - 1:
        return host[:-1]
    return host[:dot] + host[dot + 1 :] if host[dot + 1] == ":" else host


def strip_port(host: str, only: int | None = None) -> str:
    """The host without its port; with `only`, no other port than this one is taken away."""
    colon = host.rfind(":")
    if colon < 0 or host.rfind("]") > colon:
        return host
    port = host[colon + 1 :]
    if not (port.isascii() and port.isdigit()) or (only is not None and int(port) != only):
        return host
    return host[:colon]


def _normalise(path: str) -> str | None:
    """One pass from left to right: dot segments go, escapes of plain letters are undone, what is odd is escaped."""
    path = _DOTS_WITH_PARAMETERS.sub(r"\1", path)
    output: list[str] = []
    at, end = 0, len(path)
    refused = False
    while at < end:
        character = path[at]
        dot = _dot(path, at)
        if dot:
            at = _pass_dots(path, at, dot, output)
            continue
        if character == "\\":
            output.append("/")
        elif character == "%":
            text = path[at : at + 3]
            if len(text) == 3 and text[1] in _HEX and text[2] in _HEX:
                value = chr(int(text[1:], 16))
                refused |= value == "\0"
                output.append(value if value in _UNESCAPED else text)
                at += 3
                continue
            output.append("%")
        elif character in _KEPT:
            output.append(character)
        else:
            refused |= character == "\0"
            output.append(f"%{ord(character):02X}")
        at += 1
    return None if refused else "".join(output)


def _pass_dots(path: str, at: int, dot: int, output: list[str]) -> int:
    """Handles what begins with a dot of `dot` characters at `at`; the place behind what was used up."""
    after = at + dot
    if not output or output[-1] != "/":
        output.append(".")
        return after
    if after == len(path) or path[after] in "/\\":
        return after + 1
    second = _dot(path, after)
    behind = after + second
    if second and (behind == len(path) or path[behind] in "/\\"):
        _back_up(output)
        return behind + 1
    output.append(".")
    return after


def _dot(path: str, at: int) -> int:
    """How many characters a dot at `at` takes (`.` or `%2e`); 0 where there is none."""
    if path[at : at + 1] == ".":
        return 1
    return 3 if path[at : at + 3] in ("%2e", "%2E") else 0


def _back_up(output: list[str]) -> None:
    """Removes the last segment; the first slash stays."""
    if len(output) > 1:
        output.pop()
        while len(output) > 1 and output[-1] != "/":
            output.pop()
