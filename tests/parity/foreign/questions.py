"""Requests made up from virtual hosts: what each route matches, and what it just does not."""

import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

Tree = dict[str, Any]
_MOST = 60  # requests to one listener
_HOSTS = 2  # domains that each virtual host is asked by
_NOWHERE = "nowhere.test"
# What every proxy is asked, whatever its routes say.
_FORWARDED = (("x-forwarded-for", "192.0.2.7, 10.0.0.1"), ("x-envoy-internal", "true"), ("x-request-id", "told"))
_PREFLIGHT = (("origin", "http://www.example.com"), ("access-control-request-method", "PUT"))


class Question(NamedTuple):
    """A request; those with the method POST bring a body."""

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...] = ()

    def head(self) -> bytes:
        body = "hello" if self.method == "POST" else ""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"content-length: {len(body)}"] if body else []
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1", "replace")


def questions(hosts: list[Tree], seed: int = 5) -> list[Question]:
    """At most sixty, the same for the same hosts and seed."""
    asked = [question for host in hosts for question in _of_host(host)]
    names = dict.fromkeys([*[question.host for question in asked][:6], _NOWHERE])
    for name in names:
        asked += [
            Question("GET", "/", name), Question("HEAD", "/foo", name), Question("POST", "/p", name),
            Question("GET", "/..%2f/a//b/../c", name, _FORWARDED), Question("OPTIONS", "/", name, _PREFLIGHT),
        ]  # fmt: skip
    asked = list(dict.fromkeys(asked))
    random.Random(seed).shuffle(asked)
    return asked[:_MOST]


def _of_host(host: Tree) -> Iterator[Question]:
    names = [name.replace("*", "any") if name != "*" else "any.test" for name in host.get("domains", ())]
    for route in host.get("routes", ()):
        match = route.get("match", {})
        method, headers = _headers(match.get("headers", ()))
        query = "&".join(f"{each['name']}={_text(each.get('string_match', {}))}" for each in _queries(match))
        for name in names[:_HOSTS]:
            for path in _paths(match):
                full = f"{path}{'&' if '?' in path else '?'}{query}" if query else path
                yield Question(method, full, name, headers)
                if headers or query or method != "GET":
                    yield Question("GET", path, name)


def _queries(match: Tree) -> list[Tree]:
    found: list[Tree] = match.get("query_parameters", [])
    return found


def _paths(match: Tree) -> list[str]:
    if "path" in match:
        found = [match["path"], f"{match['path']}x", f"{match['path']}?q=1"]
    elif "prefix" in match:
        found = [match["prefix"], f"{match['prefix']}foo/bar", match["prefix"].rstrip("/")]
    elif "path_separated_prefix" in match:
        prefix = match["path_separated_prefix"]
        found = [prefix, f"{prefix}/z?a=b", f"{prefix}z"]
    else:
        found = [_like(match.get("safe_regex", {}).get("regex", "/x"))]
    return [path if path.startswith("/") else f"/{path}" for path in found]


def _headers(matchers: list[Tree]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The method and the headers that the matchers ask for."""
    wanted = {each["name"].lower(): _text(each.get("string_match", {})) for each in matchers}
    method = wanted.get(":method", "GET")
    return method, tuple((name, value) for name, value in wanted.items() if name[0] != ":" and name != "host")


def _text(matcher: Tree) -> str:
    """A text that the matcher takes, more or less."""
    for kind in ("exact", "prefix", "suffix", "contains"):
        if kind in matcher:
            return str(matcher[kind])
    return _like(matcher.get("safe_regex", {}).get("regex", "v"))


def _like(regex: str) -> str:
    """Something near what the expression matches: its plain text, with a letter for all that is not."""
    return re.sub(r"\(\?:?|\[\^?[^\]]*\][*+]?|\\.|[()^$|*+?{}.\s]", "a", regex)
