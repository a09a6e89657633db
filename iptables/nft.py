"""The rules for nftables: configuration in, the script for ``nft -f`` out.

The same capturing as in ``rules``, in the words of nft.
Three tables of family inet, so that one rule serves IPv4 and IPv6 where nothing in it has an address.
"""

from meshproxy.iptables.addresses import Ranges, split
from meshproxy.iptables.options import Config
from meshproxy.iptables.rules import DNS_PORT, OUTBOUND_MARK

NAT, MANGLE, RAW = "istio-proxy-nat", "istio-proxy-mangle", "istio-proxy-raw"
# Chains in the order in which they are created, and the hooks of those that the kernel calls.
CHAINS = {
    NAT: {
        "prerouting": "type nat hook prerouting priority -100",
        "output": "type nat hook output priority -100",
        "istio-inbound": "",
        "istio-redirect": "",
        "istio-in-redirect": "",
        "istio-output": "",
        "istio-output-dns": "",
    },
    MANGLE: {
        "prerouting": "type filter hook prerouting priority -150",
        "output": "type route hook output priority -150",
        "istio-divert": "",
        "istio-tproxy": "",
        "istio-inbound": "",
        "istio-drop": "",
    },
    RAW: {
        "prerouting": "type filter hook prerouting priority -300",
        "output": "type filter hook output priority -300",
        "istio-inbound": "",
        "istio-output-dns": "",
    },
}
TCP = "meta l4proto tcp"
NOT_V6_LOOPBACK = "ip6 daddr != ::1/128"


class Rule:
    """``position`` counts from 0 where the rule is inserted before others; -1 means that it is appended."""

    __slots__ = ("body", "chain", "position")

    def __init__(self, chain: str, body: str, position: int = -1) -> None:
        self.chain = chain
        self.body = body
        self.position = position


def apply_script(config: Config) -> str:
    """One transaction: each table that is needed, emptied, then its chains and rules."""
    tables = _Builder(config).build()
    return "".join(_table_script(table, rules) for table, rules in tables.items() if rules)


def cleanup_script() -> str:
    """One transaction that ends without our tables, whether or not they were there."""
    return "".join(f"add table inet {table}\ndelete table inet {table}\n" for table in CHAINS)


def _table_script(table: str, rules: list[Rule]) -> str:
    used = {rule.chain for rule in rules}
    lines = [f"add table inet {table}", f"flush table inet {table}"]
    for chain, hook in CHAINS[table].items():
        if chain in used:
            lines.append(f"add chain inet {table} {chain}" + (f" {{ {hook} ; }}" if hook else ""))
    there = dict.fromkeys(used, 0)
    for rule in rules:
        # nft inserts before a rule that exists, and nowhere else.
        inserted = 0 <= rule.position < there[rule.chain]
        verb, place = ("insert", f" index {rule.position}") if inserted else ("add", "")
        lines.append(f"{verb} rule inet {table} {rule.chain}{place} {rule.body}")
        there[rule.chain] += 1
    return "".join(f"{line}\n" for line in lines)


class _Builder:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.loopback = config.loopback_cidr
        self.not_loopback = f"ip daddr != {config.loopback_cidr}"
        self.included = Ranges(config.outbound_ranges, "--istio-service-cidr (-i)")
        self.excluded = Ranges(config.outbound_ranges_exclude, "--istio-service-exclude-cidr (-x)")
        self.tables: dict[str, list[Rule]] = {NAT: [], MANGLE: [], RAW: []}

    def append(self, table: str, chain: str, body: str) -> None:
        self.tables[table].append(Rule(chain, body))

    def append_v6(self, table: str, chain: str, body: str) -> None:
        if self.config.ipv6:
            self.append(table, chain, body)

    def insert(self, table: str, chain: str, position: int, body: str) -> None:
        self.tables[table].append(Rule(chain, body, position))

    def build(self) -> dict[str, list[Rule]]:
        config = self.config
        self.leave_interfaces_alone()
        if config.drop_invalid:
            self.append(MANGLE, "prerouting", f"{TCP} ct state invalid counter jump istio-drop")
            self.append(MANGLE, "istio-drop", "counter drop")
        self.append(NAT, "istio-inbound", f"{TCP} tcp dport {config.inbound_tunnel_port} counter return")
        self.append(NAT, "istio-redirect", f"{TCP} counter redirect to :{config.proxy_port}")
        self.append(NAT, "istio-in-redirect", f"{TCP} counter redirect to :{config.inbound_capture_port}")
        if config.inbound_ports and config.tproxy:
            self.capture_inbound_with_tproxy()
        elif config.inbound_ports:
            self.capture_inbound()
        self.append(NAT, "output", "counter jump istio-output")
        for port in split(config.outbound_ports_exclude):
            self.append(NAT, "istio-output", f"tcp dport {port} counter return")
            self.append(NAT, "istio-output", f"udp dport {port} counter return")
        self.append(NAT, "istio-output", "oifname lo ip saddr 127.0.0.6/32 counter return")
        self.append_v6(NAT, "istio-output", "oifname lo ip6 saddr ::6/128 counter return")
        for uid in split(config.proxy_uid):
            self.pass_proxy("skuid", uid)
        for gid in split(config.proxy_gid):
            self.pass_proxy("skgid", gid)
        self.pass_owner_groups()
        if config.captures_dns:
            self.capture_dns()
        self.capture_outbound()
        if config.tproxy:
            self.mark_for_tproxy()
        return self.tables

    def leave_interfaces_alone(self) -> None:
        for table in (NAT, MANGLE) if self.config.tproxy else (NAT,):
            for interface in split(self.config.exclude_interfaces):
                self.append(table, "prerouting", f"iifname {interface} counter return")
                self.append(table, "output", f"oifname {interface} counter return")
        for interface in split(self.config.kube_virt_interfaces):
            self.insert(NAT, "prerouting", 0, f"iifname {interface} counter return")

    def capture_inbound(self) -> None:
        config = self.config
        self.append(NAT, "prerouting", f"{TCP} counter jump istio-inbound")
        if config.inbound_ports != "*":
            for port in split(config.inbound_ports):
                self.append(NAT, "istio-inbound", f"{TCP} tcp dport {port} counter jump istio-in-redirect")
            return
        for port in split(config.inbound_ports_exclude):
            self.append(NAT, "istio-inbound", f"{TCP} tcp dport {port} counter return")
        self.append(NAT, "istio-inbound", f"{TCP} counter jump istio-in-redirect")

    def capture_inbound_with_tproxy(self) -> None:
        config = self.config
        mark = f"meta mark set {config.tproxy_mark}"
        to = f":{config.inbound_capture_port}"
        self.append(MANGLE, "istio-divert", f"counter {mark}")
        self.append(MANGLE, "istio-divert", "counter accept")
        self.append(MANGLE, "istio-tproxy", f"{TCP} {self.not_loopback} tproxy ip to {to} {mark} counter accept")
        self.append_v6(MANGLE, "istio-tproxy", f"{TCP} {NOT_V6_LOOPBACK} tproxy ip6 to {to} {mark} counter accept")
        self.append(MANGLE, "prerouting", f"{TCP} counter jump istio-inbound")
        established = "ct state related,established"
        if config.inbound_ports != "*":
            for port in split(config.inbound_ports):
                to_port = f"tcp dport {port}"
                self.append(MANGLE, "istio-inbound", f"{TCP} {established} {to_port} counter jump istio-divert")
                self.append(MANGLE, "istio-inbound", f"{TCP} {to_port} counter jump istio-tproxy")
            return
        for port in split(config.inbound_ports_exclude):
            self.append(MANGLE, "istio-inbound", f"{TCP} tcp dport {port} counter return")
        self.append(MANGLE, "istio-inbound", f"{TCP} {established} counter jump istio-divert")
        self.append(MANGLE, "istio-inbound", f"{TCP} counter jump istio-tproxy")

    def pass_proxy(self, kind: str, owner: str) -> None:
        """``kind`` is skuid or skgid."""
        config = self.config
        dns = config.captures_dns
        ports = f"{{ 53, {config.inbound_tunnel_port} }}" if dns and kind == "skuid" else config.inbound_tunnel_port
        rest = f"tcp dport != {ports} {kind} {owner} counter jump istio-in-redirect"
        self.append(NAT, "istio-output", f"oifname lo {TCP} {self.not_loopback} {rest}")
        self.append_v6(NAT, "istio-output", f"oifname lo {TCP} {NOT_V6_LOOPBACK} {rest}")
        if not self.included.has_loopback:
            match = f"oifname lo {TCP} tcp dport != 53" if dns else "oifname lo"
            self.append(NAT, "istio-output", f"{match} {kind} != {owner} counter return")
        self.append(NAT, "istio-output", f"{kind} {owner} counter return")

    def pass_owner_groups(self) -> None:
        config = self.config
        if config.owner_groups == "*":
            for group in split(config.owner_groups_exclude):
                self.append(NAT, "istio-output", f"skgid {group} counter return")
            return
        others = [f"skgid != {group}" for group in split(config.owner_groups)]
        self.append(NAT, "istio-output", " ".join([*others, "counter return"]))

    def capture_dns(self) -> None:
        config = self.config
        redirect = f"counter redirect to :{DNS_PORT}"
        # Servers of IPv6 alone, where it is off, have no rules, and a jump needs a chain that exists.
        servers = config.capture_all_dns or config.dns_v4 or (config.dns_v6 and config.ipv6)
        self.append(RAW, "output", "counter jump istio-output-dns")
        if servers:
            self.append(NAT, "istio-output", "counter jump istio-output-dns")
        if config.capture_all_dns:
            self.append(NAT, "istio-output-dns", f"{TCP} tcp dport 53 {redirect}")
            self.append(NAT, "istio-output-dns", f"udp dport 53 {redirect}")
        else:
            for protocol in ("tcp", "udp"):
                for server in config.dns_v4:
                    self.append(NAT, "istio-output-dns", f"ip daddr {server}/32 {protocol} dport 53 {redirect}")
                for server in config.dns_v6:
                    self.append_v6(NAT, "istio-output-dns", f"ip6 daddr {server}/128 {protocol} dport 53 {redirect}")
        for owner in (
            *(f"meta skuid {uid}" for uid in split(config.proxy_uid)),
            *(f"meta skgid {gid}" for gid in split(config.proxy_gid)),
        ):
            self.append(RAW, "istio-output-dns", f"udp dport 53 {owner} counter ct zone set 1")
            self.append(RAW, "istio-output-dns", f"udp sport {DNS_PORT} {owner} counter ct zone set 2")
        if servers:
            self.append(RAW, "prerouting", "counter jump istio-inbound")
        if config.capture_all_dns:
            self.append(RAW, "istio-output-dns", "udp dport 53 counter ct zone set 2")
            self.append(RAW, "istio-inbound", "udp sport 53 counter ct zone set 1")
            return
        for server in config.dns_v4:
            self.append(RAW, "istio-output-dns", f"udp dport 53 ip daddr {server}/32 counter ct zone set 2")
            self.append(RAW, "istio-inbound", f"udp sport 53 ip saddr {server}/32 counter ct zone set 1")
        for server in config.dns_v6:
            self.append_v6(RAW, "istio-output-dns", f"udp dport 53 ip6 daddr {server}/128 counter ct zone set 2")
            self.append_v6(RAW, "istio-inbound", f"udp sport 53 ip6 saddr {server}/128 counter ct zone set 1")

    def capture_outbound(self) -> None:
        config = self.config
        self.append(NAT, "istio-output", f"ip daddr {self.loopback} counter return")
        self.append_v6(NAT, "istio-output", "ip6 daddr ::1/128 counter return")
        for prefix in self.excluded.v4:
            self.append(NAT, "istio-output", f"ip daddr {prefix.text} counter return")
        for prefix in self.excluded.v6:
            self.append_v6(NAT, "istio-output", f"ip6 daddr {prefix.text} counter return")
        for port in split(config.outbound_ports):
            self.append(NAT, "istio-output", f"tcp dport {port} counter jump istio-redirect")
        interfaces = split(config.kube_virt_interfaces)
        if self.included.everything:
            self.append(NAT, "istio-output", "counter jump istio-redirect")
            for interface in interfaces:
                self.insert(NAT, "prerouting", 0, f"iifname {interface} counter jump istio-redirect")
        matches = [f"ip daddr {prefix.text}" for prefix in self.included.v4]
        if config.ipv6:
            matches += [f"ip6 daddr {prefix.text}" for prefix in self.included.v6]
        for match in matches:
            for interface in interfaces:
                self.insert(NAT, "prerouting", 0, f"iifname {interface} {match} counter jump istio-redirect")
            self.append(NAT, "istio-output", f"{match} counter jump istio-redirect")

    def mark_for_tproxy(self) -> None:
        config = self.config
        mark = config.tproxy_mark
        self.append(MANGLE, "prerouting", f"{TCP} mark {mark} counter ct mark set mark")
        self.append(MANGLE, "output", f"oifname lo {TCP} mark {mark} counter return")
        for owner in (
            *(f"skuid {uid}" for uid in split(config.proxy_uid)),
            *(f"skgid {gid}" for gid in split(config.proxy_gid)),
        ):
            rest = f"{owner} counter meta mark set {OUTBOUND_MARK}"
            self.append(MANGLE, "output", f"oifname lo {TCP} {self.not_loopback} {rest}")
            self.append_v6(MANGLE, "output", f"oifname lo {TCP} {NOT_V6_LOOPBACK} {rest}")
        self.append(MANGLE, "output", f"{TCP} ct mark {mark} counter meta mark set ct mark")
        self.insert(MANGLE, "istio-inbound", 0, f"{TCP} mark {mark} counter return")
        self.insert(MANGLE, "istio-inbound", 1, f"iifname lo {TCP} ip saddr 127.0.0.6/32 counter return")
        if config.ipv6:
            self.insert(MANGLE, "istio-inbound", 1, f"iifname lo {TCP} ip6 saddr ::6/128 counter return")
        self.insert(MANGLE, "istio-inbound", 2, f"iifname lo {TCP} mark != {OUTBOUND_MARK} counter return")
