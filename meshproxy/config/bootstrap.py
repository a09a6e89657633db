"""From the files and text that an operator gives to the bootstrap that the builders read.

    loaded = load_bootstrap(path, config_yaml, allow_unknown)   # raises ConfigErrors with all that is wrong
    ... the builders read loaded.view and note what they find in loaded.problems ...
    loaded.report_unread()                                      # what nothing read
    loaded.problems.check()                                     # raises ConfigErrors if any of that is an error
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from meshproxy.config import source
from meshproxy.config.errors import ConfigError, Problems, condense
from meshproxy.config.parse import parse
from meshproxy.config.positions import Positions
from meshproxy.config.rules import check_rules
from meshproxy.config.source import Source
from meshproxy.config.types import message_class
from meshproxy.config.view import View, unread

BOOTSTRAP = "envoy.config.bootstrap.v3.Bootstrap"


class Loaded:
    """A bootstrap that could be read: the message, the `view` for the builders, and the `problems` so far.

    `sources` are the files and texts it came from, in the order in which they lie over each other.
    """

    def __init__(self, message: Any, sources: list[Source], problems: Problems, allow_unknown: bool) -> None:
        self.message = message
        self.view = View(message)
        self.sources = sources
        self.problems = problems
        self._allow_unknown = allow_unknown

    def report_unread(self, failed: Iterable[str] = ()) -> None:
        """Note every field that is set but that nothing read: errors, or warnings where unknown fields are allowed.

        `failed`: where building came to no end; what nobody read below there tells nothing.
        """
        found = [problem for problem in unread(self.view) if not _below(problem.path, failed)]
        if self._allow_unknown:
            found = [replace(problem, severity="ignored") for problem in found]
        self.problems.extend(condense(found))


def load_bootstrap(path: str | None, config_yaml: str | None = None, allow_unknown: bool = False) -> Loaded:
    """Read the bootstrap in the file at `path`, with `config_yaml` merged over it; at least one must be given.

    Merging is protobuf's, as in Envoy: of two values the later counts, messages merge, lists are joined. With
    `allow_unknown` (--allow-unknown-static-fields) unknown fields are warnings.
    """
    if not path and not config_yaml:
        raise ConfigError("no configuration: give --config-path or --config-yaml")
    bootstrap = message_class(BOOTSTRAP)()
    sources: list[Source] = []
    problems = Problems(Positions(sources))
    if path and (read := _BINARY.get(Path(path).suffix.lower())):
        read(bootstrap, path)
    elif path:
        sources.append(source.read(path))
    if config_yaml:
        sources.append(source.inline(config_yaml))
    for each in sources:
        message, found = parse(each.tree, BOOTSTRAP, allow_unknown=allow_unknown)
        bootstrap.MergeFrom(message)
        alone = Problems(Positions([each]))
        alone.extend(condense([*each.remarks, *found]))
        problems.extend(alone)
        each.tree = None  # read, and as large as the file
    wrong = [problem.path for problem in problems.errors]
    problems.extend(condense(broken for broken in check_rules(bootstrap) if not _follows(broken.path, wrong)))
    problems.check()
    return Loaded(bootstrap, sources, problems, allow_unknown)


def _below(path: str, failed: Iterable[str]) -> bool:
    return any(where and path.startswith(where) for where in failed)


def _follows(path: str, wrong: list[str]) -> bool:
    """Whether a broken rule at `path` may only be the consequence of what could not be read there or below."""
    return any(each.startswith(path) for each in wrong)


def _read_serialized(bootstrap: Any, path: str) -> None:
    try:
        bootstrap.ParseFromString(source.read_bytes(path))
    except DecodeError as error:
        raise ConfigError(f"{path}: not a serialized {BOOTSTRAP}: {error}") from None


def _read_text_format(bootstrap: Any, path: str) -> None:
    from google.protobuf import text_format

    try:
        text_format.Parse(source.read_text(path), bootstrap)
    except text_format.ParseError as error:
        raise ConfigError(f"{path}: not a {BOOTSTRAP} in protobuf's text format: {error}") from None


_BINARY: dict[str, Callable[[Any, str], None]] = {".pb": _read_serialized, ".pb_text": _read_text_format}
"""The other forms that Envoy reads, by the end of the file's name."""
