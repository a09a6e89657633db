"""What cannot be meant is refused before anything is touched, in one line that names the flag."""

import socket
from collections.abc import Callable

from meshproxy.iptables.addresses import Prefix, Ranges, parse_prefix, split
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.options import Config
from meshproxy.iptables.owners import check_owners, is_word

# The kernel's limit: a longer name is no interface.
MOST_INTERFACE_LETTERS = 15


def check(config: Config, warn: Callable[[str], None]) -> None:
    """Raises SetupError. What is merely odd is a warning."""
    check_owners(config)
    if config.force_binary not in ("", "legacy", "nft"):
        raise SetupError(f"--force-iptables-binary is {config.force_binary!r}: give legacy or nft")
    _check_loopback(config.loopback_cidr)
    if config.outbound_ranges_exclude == "*":
        raise SetupError("--istio-service-exclude-cidr (-x) is '*': to capture nothing outbound, leave -i empty")
    Ranges(config.outbound_ranges_exclude, "--istio-service-exclude-cidr (-x)")
    Ranges(config.outbound_ranges, "--istio-service-cidr (-i)")
    _check_ports(config)
    for flag, names in (
        ("--istio-exclude-interfaces (-c)", config.exclude_interfaces),
        ("--kube-virt-interfaces (-k)", config.kube_virt_interfaces),
    ):
        for name in (name.strip(" ") for name in split(names)):
            if len(name) > MOST_INTERFACE_LETTERS or not is_word(name) or "/" in name:
                raise SetupError(f"{flag}: {name!r} is no name of an interface")
    if config.tproxy:
        _check_number("--istio-inbound-tproxy-mark (-t)", config.tproxy_mark)
        _check_number("--istio-inbound-tproxy-route-table (-r)", config.tproxy_route_table)
    elif config.interception_mode not in ("", "REDIRECT"):
        warn(
            f"--istio-inbound-interception-mode (-m): {config.interception_mode!r} is neither REDIRECT nor TPROXY, "
            "REDIRECT it is"
        )
    _check_contradictions(config)


def _check_contradictions(config: Config) -> None:
    for first, second, both in (
        ("--cleanup-only", "--force-apply", config.cleanup_only and config.force_apply),
        ("--cleanup-only", "--run-validation", config.cleanup_only and config.run_validation),
        ("--skip-rule-apply", "--cleanup-only", config.skip_rule_apply and config.cleanup_only),
        ("--skip-rule-apply", "--force-apply", config.skip_rule_apply and config.force_apply),
        ("--skip-rule-apply", "--reconcile", config.skip_rule_apply and config.reconcile),
        ("--native-nftables", "--force-iptables-binary", config.native_nftables and config.force_binary),
    ):
        if both:
            raise SetupError(f"{first} and {second} contradict each other: give one of them")


def _check_loopback(text: str) -> None:
    flag = "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR"
    try:
        prefix: Prefix = parse_prefix(text)
    except ValueError as reason:
        raise SetupError(f"{flag}: {reason}; give a loopback range such as 127.0.0.1/32") from None
    if prefix.is_v6 or not prefix.is_loopback or prefix.bits < 8:
        raise SetupError(f"{flag}: {text!r} is no IPv4 loopback range between /8 and /32, such as 127.0.0.1/32")


def _check_ports(config: Config) -> None:
    for flag, port in (
        ("--envoy-port (-p)", config.proxy_port),
        ("--inbound-capture-port (-z)", config.inbound_capture_port),
        ("--inbound-tunnel-port (-e)", config.inbound_tunnel_port),
    ):
        if not _is_port(port):
            raise SetupError(f"{flag}: {port!r} is no port, give a number from 1 to 65535")
    for flag, ports in (
        ("--istio-inbound-ports (-b)", "" if config.inbound_ports == "*" else config.inbound_ports),
        ("--istio-local-exclude-ports (-d)", config.inbound_ports_exclude),
        ("--istio-outbound-ports (-q)", config.outbound_ports),
        ("--istio-local-outbound-ports-exclude (-o)", config.outbound_ports_exclude),
    ):
        for port in split(ports):
            if not _is_port_match(port.strip(), "-" if config.native_nftables else ":"):
                hint = "; '*' stands alone, and only for -b" if "*" in port else ""
                raise SetupError(f"{flag}: {port!r} is no port, give numbers from 0 to 65535, comma separated{hint}")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def _is_port_match(text: str, between: str) -> bool:
    """What both programs take after --dport: a number, a range, or the name of a service."""
    ends = text.split(between)
    if len(ends) == 2:
        return all(end.isascii() and end.isdigit() and int(end) < 65536 for end in ends)
    if text.isascii() and text.isdigit():
        return int(text) < 65536
    try:
        return socket.getservbyname(text) > 0
    except (OSError, ValueError):
        return False


def _check_number(flag: str, text: str) -> None:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 32):
        raise SetupError(f"{flag}: {text!r} is no number from 1 to {(1 << 32) - 1}")
