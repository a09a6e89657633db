"""What the proxy has to know of gRPC: how to tell its requests, and how its errors are written (PROTOCOL-HTTP2.md)."""

from urllib.parse import unquote

from meshproxy.http.headers import Headers

GRPC = "application/grpc"

# Statuses of gRPC as they stand in `grpc-status`, and what they are as statuses of HTTP; others are 500.
HTTP_STATUSES = {
    "0": 200, "1": 499, "2": 500, "3": 400, "4": 504, "5": 404, "6": 409, "7": 403, "8": 429, "9": 400, "10": 409,
    "11": 400, "12": 501, "13": 500, "14": 503, "15": 500, "16": 401,
}  # fmt: skip


def is_grpc(headers: Headers) -> bool:
    """Whether this is gRPC by its content type: `application/grpc` or `application/grpc+...`."""
    content_type = headers.get("content-type")
    if content_type is None or not content_type.startswith(GRPC):
        return False
    return content_type[16:17] in ("", "+")


def encode_message(text: str) -> str:
    """grpc-message: percent-encoding of all that is not printable ASCII, and of the percent sign."""
    if text.isascii() and text.isprintable() and "%" not in text:
        return text
    return "".join([c if " " <= c <= "~" and c != "%" else f"%{ord(c):02X}" for c in text])


def decode_message(text: str) -> str:
    """The text that a grpc-message stands for; what is no percent-encoding stays as it is."""
    if "%" not in text:
        return text
    return unquote(text, encoding="utf-8", errors="replace")
