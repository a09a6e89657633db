"""`meshproxy request METHOD PATH`: one question to the admin interface; `pilot-agent request` of an Istio sidecar."""

import argparse
import sys
from collections.abc import Sequence

from meshproxy.process.admin_client import ADDRESS_HELP, BadAnswer, admin_address, ask


def main(arguments: Sequence[str]) -> int:
    """Prints the body. Exit status: 0 for an answer below 400, else 1."""
    given = _parser().parse_args(arguments)
    address = f"127.0.0.1:{given.debug_port}" if given.debug_port else given.admin
    try:
        reply = ask(address, given.method.upper(), given.path, given.body.encode(), given.timeout)
    except (BadAnswer, ValueError) as error:
        return _complain(f"{address}: {error}")
    except OSError as error:
        return _complain(f"{address}: {error.strerror or error}")
    except KeyboardInterrupt:
        return 130
    sys.stdout.buffer.write(reply.body)
    if reply.body and not reply.body.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()
    if reply.status >= 400:
        return _complain(f"{given.method.upper()} {given.path}: {reply.status} {reply.reason}")
    return 0


def _complain(text: str) -> int:
    print(f"meshproxy request: {text}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meshproxy request", description="Ask the admin interface.", allow_abbrev=False
    )
    parser.add_argument("method", metavar="METHOD", help="GET or, for what changes something, POST")
    parser.add_argument("path", metavar="PATH", help="such as /clusters?format=json")
    parser.add_argument("body", metavar="BODY", nargs="?", default="", help="the fields of a form: a=1&b=2")
    parser.add_argument("--admin", metavar="ADDRESS", default=admin_address(), help=ADDRESS_HELP)
    parser.add_argument("--debug-port", metavar="PORT", type=int, help="the same as --admin 127.0.0.1:PORT")
    parser.add_argument("--timeout", metavar="S", type=float, default=60.0, help="seconds for all of it (default: 60)")
    return parser
