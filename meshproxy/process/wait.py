"""`meshproxy wait`: until the proxy beside it is ready; what `pilot-agent wait` is in an Istio sidecar."""

import argparse
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from meshproxy.process.admin_client import ADDRESS_HELP, BadAnswer, admin_address, ask


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 once it is ready, 1 where that took too long."""
    given = _parser().parse_args(arguments)
    try:
        address, host, path = _split(given.url) if given.url else (given.admin, "", "/ready")
        problem = wait(address, host, path, given.timeoutSeconds, given.requestTimeoutMillis / 1000,
                       given.periodMillis / 1000)  # fmt: skip
    except ValueError as error:
        problem = str(error)
    except KeyboardInterrupt:
        return 130
    if problem:
        print(f"meshproxy wait: {problem}", file=sys.stderr)
    return 1 if problem else 0


def wait(address: str, host: str, path: str, timeout: float, request_timeout: float, period: float) -> str:
    """Asks every `period` seconds until the answer is 200; what is wrong after `timeout`, or nothing.

    Raises ValueError for an address that is none.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            reply = ask(address, "GET", path, timeout=request_timeout, host=host)
            if reply.status == 200:
                return ""
            said = reply.body.decode("utf-8", "replace").strip().partition("\n")[0]
            why = f"{path} answers {reply.status} {said}".strip()
        except OSError as error:
            why = f"{address}: {error.strerror or error}"
        except BadAnswer as error:
            why = f"{address}: {error}"
        if time.monotonic() + period >= deadline:
            return f"not ready after {timeout:g} s: {why}"
        time.sleep(period)


def _split(url: str) -> tuple[str, str, str]:
    """Address, Host and path of an http URL."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url!r} is no http:// URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{host}:{parts.port or 80}", parts.netloc, path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meshproxy wait", description="Wait until the proxy is ready (LIVE).", allow_abbrev=False
    )
    parser.add_argument("--admin", metavar="ADDRESS", default=admin_address(), help=ADDRESS_HELP)
    parser.add_argument("--url", help="ask this http URL instead, until it answers 200")
    for name, default, help in (
        ("timeoutSeconds", 60, "how long to wait"),
        ("requestTimeoutMillis", 500, "how long one answer may take"),
        ("periodMillis", 500, "time between two questions"),
    ):
        parser.add_argument(f"--{name}", type=_count, metavar="N", default=default, help=f"{help} (default: {default})")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
