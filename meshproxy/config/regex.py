"""Regular expressions from configuration: RE2 on bytes, linear in time whatever a client sends."""

from collections.abc import Callable

import re2

from meshproxy.config.errors import ConfigError

_OPTIONS = re2.Options()
_OPTIONS.encoding = re2.Options.Encoding.LATIN1
_OPTIONS.log_errors = False


def compile_regex(pattern: str) -> "re2._Regexp[bytes]":
    """A compiled pattern over Latin-1 bytes; raises ConfigError with what is wrong in it."""
    try:
        return re2.compile(pattern.encode("utf-8"), _OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ConfigError(f"invalid regex {pattern!r}: {text}") from None


def full_matcher(pattern: str) -> Callable[[str], bool]:
    """A predicate: the whole text (Latin-1) matches, as Envoy's safe_regex asks."""
    match = compile_regex(pattern).fullmatch
    return lambda text: match(text.encode("latin-1")) is not None
