"""Paths by template: `/users/{id}/posts/{rest=**}` (envoy.extensions.path.match.uri_template).

Between literals stand `*` (at least one character of one segment), `**` (anything; the last of the operators) and
variables `{name}`, `{name=*}`, `{name=a/*/b}`, `{name=**}`; what variables took can be put into a new path.
"""

import re

from meshproxy.http.stream import Stream

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}", re.ASCII)
_TOKEN = re.compile(
    r"(?P<wild>\*\*?)|\{(?P<name>[^{}=]*)(?:=(?P<inner>[^{}]*))?\}|[A-Za-z0-9\-._~%!$&'()+,;=:@/]+", re.ASCII
)
_MAX_VARIABLES = 5


class UriTemplate:
    """A compiled template; raises ValueError where it is malformed."""

    __slots__ = ("_match", "_open", "text", "variables")

    def __init__(self, text: str) -> None:
        if not text.startswith("/"):
            raise ValueError(f"Invalid template: {text!r} does not start with a slash")
        if "//" in text:
            raise ValueError(f'Invalid literal: "" in {text!r}')
        self.text = text
        self.variables: list[str] = []
        # No ** was met yet: operators may follow.
        self._open = True
        self._match = re.compile(self._pattern(text, nested=False), re.ASCII).fullmatch

    def match(self, path: str) -> dict[str, str] | None:
        """What the variables took, or None where the path does not fit."""
        found = self._match(path)
        return None if found is None else dict(found.groupdict())

    def _pattern(self, text: str, nested: bool) -> str:
        pattern = ""
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None or (token["name"] is not None and (nested or text[position - 1] == "}")):
                raise ValueError(f"Invalid literal: {text[position:]!r} in {self.text!r}")
            pattern += self._piece(token)
            position = token.end()
        return pattern

    def _piece(self, token: re.Match[str]) -> str:
        if token["wild"] is None and token["name"] is None:
            return re.escape(token[0])
        if not self._open:
            raise ValueError(f"Invalid template: ** is not the last operator of {self.text!r}")
        if token["wild"] is not None:
            self._open = token["wild"] == "*"
            return "[^/]+" if self._open else ".*"
        name = token["name"]
        if not _NAME.fullmatch(name):
            raise ValueError(f"Invalid variable name: {name!r}")
        if name in self.variables:
            raise ValueError(f"Repeated variable name: {name!r}")
        self.variables.append(name)
        if len(self.variables) > _MAX_VARIABLES:
            raise ValueError(f"Exceeded the limit of {_MAX_VARIABLES} variables")
        return f"(?P<{name}>{self._pattern(token['inner'] or '*', nested=True)})"


class UriTemplateRewrite:
    """`/p/{post}/u/{id}`: a path made of what a template's variables took; raises ValueError where it cannot be."""

    __slots__ = ("_pieces", "_template")

    def __init__(self, text: str, template: UriTemplate) -> None:
        if not text.startswith("/"):
            raise ValueError(f"path_rewrite_policy.path_template_rewrite {text} is invalid")
        self._template = template
        # Literals at even places, names of variables at odd ones.
        self._pieces = re.split(r"\{([^{}]*)\}", text)
        for literal in self._pieces[::2]:
            if "{" in literal or "}" in literal or "//" in literal:
                raise ValueError(f"path_rewrite_policy.path_template_rewrite {text} is invalid")
        for name in self._pieces[1::2]:
            if name not in template.variables:
                raise ValueError(
                    f"mismatch between variables in path_match_policy {template.text} and path_rewrite_policy {text}"
                )

    def __call__(self, _stream: Stream, path: str) -> str | None:
        """The new path; None where the old one does not fit the template."""
        values = self._template.match(path)
        if values is None:
            return None
        return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(self._pieces))
