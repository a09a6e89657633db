"""Regular expressions for names of resources, as pages take them in a parameter (Google RE2)."""

from collections.abc import Callable

import re2


def name_pattern(text: str, whole: bool) -> Callable[[str], bool]:
    """Whether a name matches: all of it (`whole`), or some of it; nothing in `text` matches all names.

    Raises ValueError with RE2's reason where it is no expression.
    """
    if not text:
        return lambda _name: True
    options = re2.Options()
    options.log_errors = False
    if whole:
        # As the matchers of a configuration, which look at bytes.
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        # Bytes, so that RE2 itself finds what is no UTF-8.
        compiled = re2.compile(text.encode("utf-8", "surrogateescape"), options)
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(reason.decode() if isinstance(reason, bytes) else reason) from None
    match = compiled.fullmatch if whole else compiled.search
    return lambda name: match(name.encode()) is not None
