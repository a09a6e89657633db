"""`python -m meshproxy`, and the command `meshproxy`."""

import sys
from importlib import import_module
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line that this process was started with, and ends the process."""
    word, given = "".join(sys.argv[1:2]), sys.argv[2:]
    # These do without the proxy, for they run before every pod starts, while it does, and as its probes.
    if word in ("iptables", "istio-iptables"):
        # The second name is what Istio's injector says.
        from meshproxy.iptables.cli import main as iptables

        iptables(given, f"meshproxy {word}")
    if word in ("wait", "request"):
        sys.exit(import_module(f"meshproxy.process.{word}").main(given))
    if word == "ca":
        sys.exit(import_module("meshproxy.agent.ca").main(given))
    from meshproxy.process.cli import main as proxy

    proxy()


if __name__ == "__main__":
    main()
