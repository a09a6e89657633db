"""What is read from the machine: which families its addresses are of, its DNS servers, the proxy's user.

Tests put MESHPROXY_TEST_IPV6 (true or false) and MESHPROXY_TEST_DNS_SERVERS (addresses, comma separated) in the place
of the interfaces and of /etc/resolv.conf.
"""

import pwd
from collections.abc import Callable, Iterable, Mapping

from meshproxy.iptables import addresses
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.netlink import local_addresses
from meshproxy.iptables.options import Config
from meshproxy.iptables.values import parse_bool

RESOLV_CONF = "/etc/resolv.conf"
PROXY_UID = "1337"


def look_around(config: Config, environment: Mapping[str, str], warn: Callable[[str], None]) -> None:
    """Fills in what the user left to us. Raises SetupError when the machine has no address."""
    if not config.proxy_uid:
        config.proxy_uid = _uid_of(environment.get("ENVOY_USER", "istio-proxy"))
    if not config.proxy_gid:
        config.proxy_gid = config.proxy_uid
    config.host_is_v6, config.ipv6 = _families(config, environment)
    if config.redirect_dns and not config.capture_all_dns:
        config.dns_v4, config.dns_v6 = _dns_servers(environment, warn)
        if not config.captures_dns:
            warn("--redirect-dns has no effect: /etc/resolv.conf has no DNS server, and --capture-all-dns is not set")


def _uid_of(user: str) -> str:
    try:
        return str(pwd.getpwnam(user).pw_uid)
    except KeyError:
        return PROXY_UID


def _families(config: Config, environment: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether the first address is of IPv6, and whether IPv6 gets rules."""
    override = environment.get("MESHPROXY_TEST_IPV6")
    if override is not None:
        try:
            ipv6 = parse_bool(override)
        except ValueError as reason:
            raise SetupError(f"MESHPROXY_TEST_IPV6: {reason}") from None
        return ipv6 and not config.dual_stack, ipv6
    return families(local_addresses(), config.dual_stack)


def families(found: Iterable[bytes], dual_stack: bool) -> tuple[bool, bool]:
    """The first address that is neither loopback nor of one link decides; with dual stack any one of IPv6 does."""
    usable = [
        addresses.is_v6(address)
        for address in found
        if not addresses.is_loopback(address) and not addresses.is_link_local(address)
    ]
    if not usable:
        raise SetupError(
            "no valid local IP address found: no interface but loopback has an address; is the pod's network up?"
        )
    return usable[0], (any(usable) if dual_stack else usable[0])


def _dns_servers(environment: Mapping[str, str], warn: Callable[[str], None]) -> tuple[list[str], list[str]]:
    override = environment.get("MESHPROXY_TEST_DNS_SERVERS")
    if override is not None:
        servers = addresses.split(override.replace(" ", ""))
        return [server for server in servers if ":" not in server], [server for server in servers if ":" in server]
    try:
        with open(RESOLV_CONF) as file:
            lines = file.read()
    except OSError as error:
        raise SetupError(f"--redirect-dns needs the DNS servers of {RESOLV_CONF}: {error.strerror}") from None
    return dns_servers(lines, warn)


def dns_servers(resolv_conf: str, warn: Callable[[str], None]) -> tuple[list[str], list[str]]:
    """The nameservers of IPv4 and of IPv6, see resolv.conf(5)."""
    v4: list[str] = []
    v6: list[str] = []
    for words in map(str.split, resolv_conf.splitlines()):
        if words[:1] == ["nameserver"] and len(words) > 1:
            try:
                packed = addresses.parse_address(words[1])
            except ValueError as reason:
                warn(f"a nameserver of {RESOLV_CONF} is left out: {reason}")
                continue
            (v4 if len(packed) == 4 else v6).append(addresses.format_address(packed))
    return v4, v6
