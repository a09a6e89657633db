"""Why a TLS connection failed, as %DOWNSTREAM_TRANSPORT_FAILURE_REASON% has it.

The words and numbers are those of Envoy's BoringSSL, so that whoever greps for them finds them; what else is known of
the cause stands behind them in parentheses that begin with `cause:`.
"""

import ssl

from meshproxy.net.certificate import printable
from meshproxy.net.tls_verify import Verdict

_LIBRARY = 16 << 24
_FIRST_ALERT = 1000
# Reasons by number in BoringSSL.
_NUMBERS = {
    "BAD_SIGNATURE": 114, "CERTIFICATE_VERIFY_FAILED": 125, "CLIENTHELLO_PARSE_FAILED": 131, "DECODE_ERROR": 137,
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": 139, "ENCRYPTED_LENGTH_TOO_LONG": 146, "EXCESSIVE_MESSAGE_SIZE": 150,
    "HTTPS_PROXY_REQUEST": 155, "HTTP_REQUEST": 156, "NO_SHARED_CIPHER": 184, "PARSE_TLSEXT": 190,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": 192, "UNEXPECTED_MESSAGE": 223, "UNEXPECTED_RECORD": 225,
    "UNSUPPORTED_PROTOCOL": 240, "WRONG_VERSION_NUMBER": 247, "NO_COMMON_SIGNATURE_ALGORITHMS": 253,
}  # fmt: skip
# What OpenSSL calls otherwise.
_NAMES = {
    "LENGTH_MISMATCH": "CLIENTHELLO_PARSE_FAILED", "LENGTH_TOO_SHORT": "CLIENTHELLO_PARSE_FAILED",
    "LENGTH_TOO_LONG": "CLIENTHELLO_PARSE_FAILED",
    "BAD_EXTENSION": "PARSE_TLSEXT", "PACKET_LENGTH_TOO_LONG": "ENCRYPTED_LENGTH_TOO_LONG",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "NO_COMMON_SIGNATURE_ALGORITHMS",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "TLSV1_ALERT_CERTIFICATE_REQUIRED",
}  # fmt: skip
_ALERTS = {
    "SSLV3_ALERT_UNEXPECTED_MESSAGE": 10, "SSLV3_ALERT_BAD_RECORD_MAC": 20, "TLSV1_ALERT_RECORD_OVERFLOW": 22,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": 40, "SSLV3_ALERT_BAD_CERTIFICATE": 42, "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": 43,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": 44, "SSLV3_ALERT_CERTIFICATE_EXPIRED": 45,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": 46, "SSLV3_ALERT_ILLEGAL_PARAMETER": 47, "TLSV1_ALERT_UNKNOWN_CA": 48,
    "TLSV1_ALERT_ACCESS_DENIED": 49, "TLSV1_ALERT_DECODE_ERROR": 50, "TLSV1_ALERT_DECRYPT_ERROR": 51,
    "TLSV1_ALERT_PROTOCOL_VERSION": 70, "TLSV1_ALERT_INSUFFICIENT_SECURITY": 71, "TLSV1_ALERT_INTERNAL_ERROR": 80,
    "TLSV1_ALERT_USER_CANCELLED": 90, "TLSV1_ALERT_NO_RENEGOTIATION": 100, "TLSV1_UNRECOGNIZED_NAME": 112,
    "TLSV1_ALERT_CERTIFICATE_REQUIRED": 116, "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": 120,
}  # fmt: skip
_CAUSES = {
    "HTTP_REQUEST": "the peer speaks plain HTTP", "HTTPS_PROXY_REQUEST": "the peer speaks plain HTTP",
    "WRONG_VERSION_NUMBER": "the peer does not speak TLS", "UNSUPPORTED_PROTOCOL": "the peer's TLS versions do not do",
    "NO_SHARED_CIPHER": "the peer's cipher suites do not do",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the peer says that our certificate has expired",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer does not accept our certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not trust the issuer of our certificate",
    "TLSV1_ALERT_CERTIFICATE_REQUIRED": "the peer wants a client certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the peer wants a client certificate, or other TLS parameters",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "the peer speaks none of the protocols that ALPN offers",
    "TLSV1_UNRECOGNIZED_NAME": "the peer does not serve the name that SNI says",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer does not speak our TLS versions",
}  # fmt: skip
_RESET = "TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end"
# Which BoringSSL says in addition.
_ON_HELLO = f"|{_LIBRARY + 154}:SSL routines:OPENSSL_internal:HANDSHAKE_FAILURE_ON_CLIENT_HELLO"
_NO_CERTIFICATE = "peer did not provide required client certificate"
# A secret that has not come yet.
NO_SECRET = "TLS error: Secret is not supplied by SDS"


def reason_of(error: ssl.SSLError) -> str:
    """BoringSSL's name of it."""
    name = error.reason or "UNKNOWN"
    return _NAMES.get(name, name)


def failure_words(error: ssl.SSLError, verdict: Verdict | None, on_hello: bool = False) -> str:
    """verdict: what came of the verification of the peer's certificate, if it got so far. on_hello: it was the answer
    to a client's hello."""
    reason = reason_of(error)
    more, cause = "", _CAUSES.get(reason, "")
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        more = _NO_CERTIFICATE
    elif reason == "CERTIFICATE_VERIFY_FAILED" and verdict is not None and verdict.reason:
        more, cause = "verify cert failed: " + verdict.reason, verdict.cause
    alert = _ALERTS.get(reason)
    number = _NUMBERS.get(reason, 0) if alert is None else _FIRST_ALERT + alert
    if on_hello and reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":
        reason += _ON_HELLO
    parts = [str(_LIBRARY + number), "SSL routines", "OPENSSL_internal", reason]
    if more:
        parts.append(more)
    if cause:
        parts[-1] += f" (cause: {cause})"
    return printable(f"TLS_error:|{':'.join(parts)}:TLS_error_end")


def lost_words(error: Exception | None) -> str:
    """For a connection that broke in the handshake."""
    return _RESET if isinstance(error, ConnectionResetError) else ""
