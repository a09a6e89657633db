"""`python -m meshproxy`, and the command `meshproxy`."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line that this process was started with, and ends the process."""
    word = "".join(sys.argv[1:2])
    if word in ("iptables", "istio-iptables"):
        # The way without the proxy: it runs before every pod starts. The second name is what Istio's injector says.
        from meshproxy.iptables.cli import main as iptables

        iptables(sys.argv[2:], f"meshproxy {word}")
    from meshproxy.process.cli import main as proxy

    proxy()


if __name__ == "__main__":
    main()
