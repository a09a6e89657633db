"""`python -m meshproxy.iptables`."""

from meshproxy.iptables.cli import main

main(program="python -m meshproxy.iptables")
