"""The rules for iptables: configuration in, rules out, one list per family, in the order in which they are applied.

Bodies are what stands after ``-A CHAIN``. Chains of ours begin with ISTIO_, so that tools that know Istio's find them.
"""

from collections.abc import Sequence

from meshproxy.iptables.addresses import Prefix, Ranges, split
from meshproxy.iptables.options import Config

DNS_PORT = "15053"
"Where the agent answers questions to DNS servers."
OUTBOUND_MARK = "1338"
"With TPROXY: what the proxy sends to its own pod."
OURS = "ISTIO_"


class Rule:
    """One rule. ``position`` counts from 1 where the rule is inserted; 0 means that it is appended."""

    __slots__ = ("body", "chain", "position", "table")

    def __init__(self, table: str, chain: str, body: str, position: int = 0) -> None:
        self.table = table
        self.chain = chain
        self.body = body
        self.position = position

    @property
    def target(self) -> str:
        """The chain or built-in target that the rule ends with; empty for a target that takes parameters."""
        words = self.body.split()
        return words[-1] if len(words) > 1 and words[-2] == "-j" else ""

    @property
    def jumps_to_ours(self) -> bool:
        return f"-j {OURS}" in self.body


class Family:
    """What differs between IPv4 and IPv6."""

    __slots__ = ("magic", "name", "v6")

    def __init__(self, name: str, magic: str, v6: bool) -> None:
        self.name = name
        self.magic = magic
        "The proxy's source address towards the application. It must never be captured again."
        self.v6 = v6

    def loopback(self, config: Config) -> str:
        return "::1/128" if self.v6 else config.loopback_cidr

    def dns_servers(self, config: Config) -> list[str]:
        """As ranges of one address."""
        return (
            [f"{server}/128" for server in config.dns_v6] if self.v6 else [f"{server}/32" for server in config.dns_v4]
        )

    def of(self, ranges: Ranges) -> list[Prefix]:
        return ranges.v6 if self.v6 else ranges.v4


V4 = Family("IPv4", "127.0.0.6/32", False)
V6 = Family("IPv6", "::6/128", True)


def build_rules(config: Config, family: Family) -> list[Rule]:
    """Everything that one family needs; nothing for IPv6 where it is off. SetupError names a range that is none."""
    if family.v6 and not config.ipv6:
        return []
    return _Builder(config, family).build()


class _Builder:
    def __init__(self, config: Config, family: Family) -> None:
        self.config = config
        self.family = family
        self.loopback = family.loopback(config)
        self.included = Ranges(config.outbound_ranges, "--istio-service-cidr (-i)")
        self.excluded = Ranges(config.outbound_ranges_exclude, "--istio-service-exclude-cidr (-x)")
        self.rules: list[Rule] = []

    def append(self, table: str, chain: str, body: str) -> None:
        self.rules.append(Rule(table, chain, body))

    def insert(self, table: str, chain: str, position: int, body: str) -> None:
        self.rules.append(Rule(table, chain, body, position))

    def build(self) -> list[Rule]:
        config = self.config
        self.leave_interfaces_alone()
        if config.drop_invalid:
            self.append("mangle", "PREROUTING", "-m conntrack --ctstate INVALID -j ISTIO_DROP")
            self.append("mangle", "ISTIO_DROP", "-j DROP")
        self.append("nat", "ISTIO_INBOUND", f"-p tcp --dport {config.inbound_tunnel_port} -j RETURN")
        self.append("nat", "ISTIO_REDIRECT", f"-p tcp -j REDIRECT --to-ports {config.proxy_port}")
        self.append("nat", "ISTIO_IN_REDIRECT", f"-p tcp -j REDIRECT --to-ports {config.inbound_capture_port}")
        if config.inbound_ports:
            self.capture_inbound()
        self.append("nat", "OUTPUT", "-j ISTIO_OUTPUT")
        for port in split(config.outbound_ports_exclude):
            self.append("nat", "ISTIO_OUTPUT", f"-p tcp --dport {port} -j RETURN")
            self.append("nat", "ISTIO_OUTPUT", f"-p udp --dport {port} -j RETURN")
        self.append("nat", "ISTIO_OUTPUT", f"-o lo -s {self.family.magic} -j RETURN")
        for uid in split(config.proxy_uid):
            self.pass_proxy("uid", uid)
        for gid in split(config.proxy_gid):
            self.pass_proxy("gid", gid)
        self.pass_owner_groups()
        if config.captures_dns:
            self.capture_dns()
        self.capture_outbound()
        if config.tproxy:
            self.mark_for_tproxy()
        return self.rules

    def leave_interfaces_alone(self) -> None:
        for table in ("nat", "mangle") if self.config.tproxy else ("nat",):
            for interface in split(self.config.exclude_interfaces):
                self.append(table, "PREROUTING", f"-i {interface} -j RETURN")
                self.append(table, "OUTPUT", f"-o {interface} -j RETURN")
        for interface in split(self.config.kube_virt_interfaces):
            self.insert("nat", "PREROUTING", 1, f"-i {interface} -j RETURN")

    def capture_inbound(self) -> None:
        config = self.config
        table = "mangle" if config.tproxy else "nat"
        if config.tproxy:
            # What is marked is routed to lo, and so reaches the proxy's socket though its address is another's.
            self.append("mangle", "ISTIO_DIVERT", f"-j MARK --set-mark {config.tproxy_mark}")
            self.append("mangle", "ISTIO_DIVERT", "-j ACCEPT")
            self.append(
                "mangle",
                "ISTIO_TPROXY",
                f"! -d {self.loopback} -p tcp -j TPROXY --tproxy-mark {config.tproxy_mark}/0xffffffff"
                f" --on-port {config.inbound_capture_port}",
            )
        self.append(table, "PREROUTING", "-p tcp -j ISTIO_INBOUND")
        if config.inbound_ports == "*":
            for port in split(config.inbound_ports_exclude):
                self.append(table, "ISTIO_INBOUND", f"-p tcp --dport {port} -j RETURN")
            matches = ["-p tcp"]
        else:
            matches = [f"-p tcp --dport {port}" for port in split(config.inbound_ports)]
        for match in matches:
            if config.tproxy:
                established = "-m conntrack --ctstate RELATED,ESTABLISHED"
                self.append("mangle", "ISTIO_INBOUND", f"{match} {established} -j ISTIO_DIVERT")
                self.append("mangle", "ISTIO_INBOUND", f"{match} -j ISTIO_TPROXY")
            else:
                self.append("nat", "ISTIO_INBOUND", f"{match} -j ISTIO_IN_REDIRECT")

    def pass_proxy(self, kind: str, owner: str) -> None:
        """What the proxy itself sends is not captured. ``kind`` is uid or gid."""
        config = self.config
        dns = config.captures_dns
        not_these = f"! --dport {config.inbound_tunnel_port}"
        if dns and kind == "uid":
            # An agent's own questions go to the server, and not round through the proxy's inbound side.
            not_these = f"-m multiport ! --dports 53,{config.inbound_tunnel_port}"
        # To its own pod by another address than loopback: the application calls itself through a service.
        self.append(
            "nat",
            "ISTIO_OUTPUT",
            f"-o lo ! -d {self.loopback} -p tcp {not_these} -m owner --{kind}-owner {owner} -j ISTIO_IN_REDIRECT",
        )
        if not self.included.has_loopback:
            # The application to itself by the pod's address stays as it is; questions to a local DNS server do not.
            match = "-o lo -p tcp ! --dport 53" if dns else "-o lo"
            self.append("nat", "ISTIO_OUTPUT", f"{match} -m owner ! --{kind}-owner {owner} -j RETURN")
        self.append("nat", "ISTIO_OUTPUT", f"-m owner --{kind}-owner {owner} -j RETURN")

    def pass_owner_groups(self) -> None:
        config = self.config
        if config.owner_groups == "*":
            for group in split(config.owner_groups_exclude):
                self.append("nat", "ISTIO_OUTPUT", f"-m owner --gid-owner {group} -j RETURN")
            return
        others = [f"-m owner ! --gid-owner {group}" for group in split(config.owner_groups)]
        self.append("nat", "ISTIO_OUTPUT", " ".join([*others, "-j RETURN"]))

    def capture_dns(self) -> None:
        config = self.config
        everything = config.capture_all_dns
        servers = self.family.dns_servers(config)
        to_server = [""] if everything else [f" -d {server}" for server in servers]
        from_server = [""] if everything else [f" -s {server}" for server in servers]
        self.append("raw", "OUTPUT", "-j ISTIO_OUTPUT_DNS")
        if to_server:
            self.append("nat", "ISTIO_OUTPUT", "-j ISTIO_OUTPUT_DNS")
        for match in to_server:
            self.append("nat", "ISTIO_OUTPUT_DNS", f"-p tcp --dport 53{match} -j REDIRECT --to-ports {DNS_PORT}")
        for match in to_server:
            self.append("nat", "ISTIO_OUTPUT_DNS", f"-p udp --dport 53{match} -j REDIRECT --to-port {DNS_PORT}")
        # Two zones of connection tracking: an agent's question to the server and an application's to the agent may
        # have the same addresses and ports.
        for owner in _owners(config):
            self.append("raw", "ISTIO_OUTPUT_DNS", f"-p udp --dport 53 {owner} -j CT --zone 1")
            self.append("raw", "ISTIO_OUTPUT_DNS", f"-p udp --sport {DNS_PORT} {owner} -j CT --zone 2")
        if to_server:
            self.append("raw", "PREROUTING", "-j ISTIO_INBOUND")
        for to, back in zip(to_server, from_server, strict=True):
            self.append("raw", "ISTIO_OUTPUT_DNS", f"-p udp --dport 53{to} -j CT --zone 2")
            self.append("raw", "ISTIO_INBOUND", f"-p udp --sport 53{back} -j CT --zone 1")

    def capture_outbound(self) -> None:
        config = self.config
        self.append("nat", "ISTIO_OUTPUT", f"-d {self.loopback} -j RETURN")
        for prefix in self.family.of(self.excluded):
            self.append("nat", "ISTIO_OUTPUT", f"-d {prefix.text} -j RETURN")
        for port in split(config.outbound_ports):
            self.append("nat", "ISTIO_OUTPUT", f"-p tcp --dport {port} -j ISTIO_REDIRECT")
        interfaces = split(config.kube_virt_interfaces)
        if self.included.everything:
            self.append("nat", "ISTIO_OUTPUT", "-j ISTIO_REDIRECT")
            for interface in interfaces:
                self.insert("nat", "PREROUTING", 1, f"-i {interface} -j ISTIO_REDIRECT")
        for prefix in self.family.of(self.included):
            for interface in interfaces:
                self.insert("nat", "PREROUTING", 1, f"-i {interface} -d {prefix.text} -j ISTIO_REDIRECT")
            self.append("nat", "ISTIO_OUTPUT", f"-d {prefix.text} -j ISTIO_REDIRECT")

    def mark_for_tproxy(self) -> None:
        config = self.config
        marked = f"-p tcp -m mark --mark {config.tproxy_mark}"
        # The mark that the proxy set towards the application (original_src) comes back with the answer.
        self.append("mangle", "PREROUTING", f"{marked} -j CONNMARK --save-mark")
        self.append("mangle", "OUTPUT", f"-p tcp -o lo -m mark --mark {config.tproxy_mark} -j RETURN")
        for owner in _owners(config):
            # The proxy's outbound side to its inbound side, by the pod's own address.
            self.append(
                "mangle", "OUTPUT", f"! -d {self.loopback} -p tcp -o lo {owner} -j MARK --set-mark {OUTBOUND_MARK}"
            )
        self.append("mangle", "OUTPUT", f"-p tcp -m connmark --mark {config.tproxy_mark} -j CONNMARK --restore-mark")
        # Before all else: what the proxy sends to the application, and the application to itself, is not captured.
        self.insert("mangle", "ISTIO_INBOUND", 1, f"{marked} -j RETURN")
        self.insert("mangle", "ISTIO_INBOUND", 2, f"-p tcp -s {self.family.magic} -i lo -j RETURN")
        self.insert("mangle", "ISTIO_INBOUND", 3, f"-p tcp -i lo -m mark ! --mark {OUTBOUND_MARK} -j RETURN")


def _owners(config: Config) -> Sequence[str]:
    """Matches for the proxy's users, then for its groups."""
    return [
        *(f"-m owner --uid-owner {uid}" for uid in split(config.proxy_uid)),
        *(f"-m owner --gid-owner {gid}" for gid in split(config.proxy_gid)),
    ]
