"""One table from causes to answers. Nobody writes 503 elsewhere.

Sources: Envoy's StreamResetReason, its response flags and %RESPONSE_CODE_DETAILS%.
"""

from dataclasses import dataclass

from meshproxy.http.filter import LocalReply

GRPC_STATUS = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


def grpc_status_of(status: int) -> int:
    """Envoy's Grpc::Utility::httpToGrpcStatus; 2 (unknown) for all others."""
    return GRPC_STATUS.get(status, 2)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt on an upstream ended without a response. `words` stand in body and, joined by _, in details."""

    words: str
    flag: str
    status: int = 503
    # Nothing of the request can have been processed: a retry cannot do harm.
    unprocessed: bool = False


CONNECT_FAILED = Failure("remote connection failure", "UF", unprocessed=True)
LOCAL_CONNECT_FAILED = Failure("local connection failure", "UF", unprocessed=True)
CONNECT_TIMEOUT = Failure("connection timeout", "UF", unprocessed=True)
CONNECTION_TERMINATED = Failure("connection termination", "UC")
OVERFLOW = Failure("overflow", "UO", unprocessed=True)
PROTOCOL_ERROR = Failure("protocol error", "UPE", status=502)
REMOTE_RESET = Failure("remote reset", "UR")
REMOTE_REFUSED = Failure("remote refused stream reset", "UR", unprocessed=True)
# To Envoy it is always about a CONNECT.
CONNECT_ERROR = Failure("remote error with CONNECT request", "UR")
LOCAL_RESET = Failure("local reset", "LR")

OVERLOADED = ("x-envoy-overloaded", "true")
_PREFIX = "upstream connect error or disconnect/reset before headers. "


def upstream_failure(failure: Failure, transport_reason: str, retried: bool) -> LocalReply:
    """The answer where no response had begun. `transport_reason`: what the socket or TLS said, or ""."""
    latest = "retried and the latest reset reason: " if retried else "reset reason: "
    words = failure.words.replace(" ", "_")
    details = f"upstream_reset_before_response_started{{{words}"
    if transport_reason:
        details = f"{details}|{transport_reason.replace(' ', '_')}"
    return LocalReply(
        failure.status,
        f"{_PREFIX}{latest}{failure.words}".encode("latin-1"),
        details + "}",
        headers=[OVERLOADED] if failure is OVERFLOW else [],
        flag=failure.flag,
    )


def details_after_start(failure: Failure) -> str:
    """%RESPONSE_CODE_DETAILS% where the response had begun and was cut."""
    return f"upstream_reset_after_response_started{{{failure.words.replace(' ', '_')}}}"
