"""Everything that a filter may import from meshproxy, and nothing else."""

from meshproxy.http.filter import HttpFilter, LocalReply, Outcome
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders, read_header, write_header
from meshproxy.http.stream import Stream

__all__ = [
    "Headers",
    "HttpFilter",
    "LocalReply",
    "Outcome",
    "RequestHeaders",
    "ResponseHeaders",
    "Stream",
    "read_header",
    "write_header",
]
