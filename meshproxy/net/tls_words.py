"""Why a TLS connection failed, as %DOWNSTREAM_TRANSPORT_FAILURE_REASON% has it: Envoy's words, and the cause."""

import ssl


def failure_words(error: Exception | None) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS_error:|SSL routines::{error.reason}:TLS_error_end"
    return ""
