"""Plans from flags, without a machine: what would be applied."""

from collections.abc import Mapping

from meshproxy.iptables.host import look_around
from meshproxy.iptables.nft import apply_script
from meshproxy.iptables.options import Config, read_options
from meshproxy.iptables.restore import restore_text
from meshproxy.iptables.rules import V4, V6, build_rules

ENVIRONMENT = {"MESHPROXY_TEST_IPV6": "false", "MESHPROXY_TEST_DNS_SERVERS": "", "ENVOY_USER": "nobody-has-this-name"}


def configured(*flags: str, **environment: str) -> Config:
    """The configuration of a command line, on a machine with IPv4 alone and no DNS servers unless told otherwise."""
    warnings: list[str] = []
    everything: Mapping[str, str] = {**ENVIRONMENT, **environment}
    config = read_options(flags, everything, warnings.append)
    look_around(config, everything, warnings.append)
    return config


def plan(*flags: str, v6: bool = False, **environment: str) -> list[str]:
    """Lines for iptables-restore, or for ip6tables-restore on a machine with IPv6."""
    if v6:
        environment = {"MESHPROXY_TEST_IPV6": "true", **environment}
    return restore_text(build_rules(configured(*flags, **environment), V6 if v6 else V4)).splitlines()


def script(*flags: str, **environment: str) -> list[str]:
    """Lines for nft."""
    return apply_script(configured(*flags, **environment)).splitlines()


def changed(before: list[str], after: list[str]) -> tuple[list[str], list[str]]:
    """Lines that are only in the one, and only in the other."""
    return [line for line in before if line not in after], [line for line in after if line not in before]
