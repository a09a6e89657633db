"""Refusing requests whose x-envoy headers say nothing that makes sense (Router.strict_check_headers)."""

from meshproxy.http.headers import RequestHeaders

_RETRY_ON = frozenset(
    """
    5xx gateway-error reset reset-before-request connect-failure envoy-ratelimited retriable-4xx refused-stream
    retriable-status-codes retriable-headers http3-post-connect-failure
    """.split()
)
_RETRY_GRPC_ON = frozenset("cancelled deadline-exceeded internal resource-exhausted unavailable".split())
_WORDS = {"x-envoy-retry-on": _RETRY_ON, "x-envoy-retry-grpc-on": _RETRY_GRPC_ON}


def first_invalid(request: RequestHeaders, names: tuple[str, ...]) -> str | None:
    """The first of `names` whose value is not what it has to be: a number, or words that are known."""
    for name in names:
        value = request.get(name)
        if value is not None and not _is_valid(name, value):
            return name
    return None


def _is_valid(name: str, value: str) -> bool:
    words = _WORDS.get(name)
    if words is None:
        return value.isascii() and value.isdigit()
    return all(word.strip(" \t") in words for word in value.split(","))
