"""The rules for nftables, as a script."""

import pytest

from meshproxy.iptables.nft import cleanup_script

from .planning import changed, script

USUAL = ("-u", "1337", "-i", "*", "-b", "*", "-d", "15090")


def test_the_letters_of_the_usual_rules() -> None:
    nat = "inet istio-proxy-nat"
    passing = [
        "oifname lo meta l4proto tcp ip daddr != 127.0.0.1/32 tcp dport != 15008 {0} 1337"
        " counter jump istio-in-redirect",
        "oifname lo {0} != 1337 counter return",
        "{0} 1337 counter return",
    ]
    assert script(*USUAL) == [
        f"add table {nat}",
        f"flush table {nat}",
        f"add chain {nat} prerouting {{ type nat hook prerouting priority -100 ; }}",
        f"add chain {nat} output {{ type nat hook output priority -100 ; }}",
        *(f"add chain {nat} istio-{name}" for name in ("inbound", "redirect", "in-redirect", "output")),
        f"add rule {nat} istio-inbound meta l4proto tcp tcp dport 15008 counter return",
        f"add rule {nat} istio-redirect meta l4proto tcp counter redirect to :15001",
        f"add rule {nat} istio-in-redirect meta l4proto tcp counter redirect to :15006",
        f"add rule {nat} prerouting meta l4proto tcp counter jump istio-inbound",
        f"add rule {nat} istio-inbound meta l4proto tcp tcp dport 15090 counter return",
        f"add rule {nat} istio-inbound meta l4proto tcp counter jump istio-in-redirect",
        f"add rule {nat} output counter jump istio-output",
        f"add rule {nat} istio-output oifname lo ip saddr 127.0.0.6/32 counter return",
        *(f"add rule {nat} istio-output {body.format(kind)}" for kind in ("skuid", "skgid") for body in passing),
        f"add rule {nat} istio-output ip daddr 127.0.0.1/32 counter return",
        f"add rule {nat} istio-output counter jump istio-redirect",
    ]


def rules(*flags: str, **environment: str) -> tuple[list[str], list[str]]:
    """Rules that are gone and new beside the usual ones, without what all have."""
    short = [line.replace(" inet istio-proxy-", " ") for line in script(*USUAL)]
    return changed(short, [line.replace(" inet istio-proxy-", " ") for line in script(*USUAL, *flags, **environment)])


def test_ipv6_has_rules_of_its_own_where_an_address_is_named() -> None:
    gone, new = rules(MESHPROXY_TEST_IPV6="true")
    assert gone == []
    assert new == [
        "add rule nat istio-output oifname lo ip6 saddr ::6/128 counter return",
        *(
            "add rule nat istio-output oifname lo meta l4proto tcp ip6 daddr != ::1/128 tcp dport != 15008 "
            f"{kind} 1337 counter jump istio-in-redirect"
            for kind in ("skuid", "skgid")
        ),
        "add rule nat istio-output ip6 daddr ::1/128 counter return",
    ]


@pytest.mark.parametrize(
    ("flags", "new"),
    [
        ("-o 25", ["add rule nat istio-output tcp dport 25 counter return",
                   "add rule nat istio-output udp dport 25 counter return"]),
        ("-q 25", ["add rule nat istio-output tcp dport 25 counter jump istio-redirect"]),
        ("-x 10.0.0.0/8,fd00::/8", ["add rule nat istio-output ip daddr 10.0.0.0/8 counter return"]),
        ("-c e0", ["add rule nat prerouting iifname e0 counter return",
                   "add rule nat output oifname e0 counter return"]),
        # Nothing to insert before at first, then there is.
        ("-k kv0", ["add rule nat prerouting iifname kv0 counter return",
                    "insert rule nat prerouting index 0 iifname kv0 counter jump istio-redirect"]),
        ("--drop-invalid", ["add table mangle", "flush table mangle",
                            "add chain mangle prerouting { type filter hook prerouting priority -150 ; }",
                            "add chain mangle istio-drop",
                            "add rule mangle prerouting meta l4proto tcp ct state invalid counter jump istio-drop",
                            "add rule mangle istio-drop counter drop"]),
    ],
)  # fmt: skip
def test_the_letters_that_a_flag_adds(flags: str, new: list[str]) -> None:
    assert rules(*flags.split()) == ([], new)


def test_dns() -> None:
    _, new = rules("--redirect-dns", MESHPROXY_TEST_DNS_SERVERS="10.0.0.10,fd00::a", MESHPROXY_TEST_IPV6="true")
    assert [line for line in new if "15053" in line and "redirect" in line] == [
        f"add rule nat istio-output-dns {server} {proto} dport 53 counter redirect to :15053"
        for proto in ("tcp", "udp")
        for server in ("ip daddr 10.0.0.10/32", "ip6 daddr fd00::a/128")
    ]
    assert "tcp dport != { 53, 15008 } skuid 1337" in "\n".join(new)
    assert "tcp dport != { 53, 15008 } skgid 1337" not in "\n".join(new)
    assert [line for line in new if "zone set" in line and "meta" not in line] == [
        f"add rule raw {rule} counter ct zone set {zone}"
        for address, server in (("ip", "10.0.0.10/32"), ("ip6", "fd00::a/128"))
        for rule, zone in (
            (f"istio-output-dns udp dport 53 {address} daddr {server}", 2),
            (f"istio-inbound udp sport 53 {address} saddr {server}", 1),
        )
    ]


def test_no_jump_to_a_chain_that_has_no_rules() -> None:
    # Servers of IPv6 alone, where it is off.
    lines = script("--redirect-dns", MESHPROXY_TEST_DNS_SERVERS="fd00::a")
    chains = {tuple(line.split()[3:5]) for line in lines if line.startswith("add chain")}
    jumps = {(line.split()[3], line.split()[-1]) for line in lines if " jump " in line}
    assert jumps and jumps <= chains


def test_the_usual_rules_of_tproxy_come_first() -> None:
    lines = script("-m", "TPROXY", "-u", "1337", "-b", "80", MESHPROXY_TEST_IPV6="true")
    assert [line.split(" ", 6)[4:] for line in lines if line.startswith("insert")] == [
        ["istio-inbound", "index", "0 meta l4proto tcp mark 1337 counter return"],
        ["istio-inbound", "index", "1 iifname lo meta l4proto tcp ip saddr 127.0.0.6/32 counter return"],
        ["istio-inbound", "index", "1 iifname lo meta l4proto tcp ip6 saddr ::6/128 counter return"],
        ["istio-inbound", "index", "2 iifname lo meta l4proto tcp mark != 1338 counter return"],
    ]


def test_without_ports_tproxy_has_nothing_to_insert_before() -> None:
    lines = script("-m", "TPROXY", "-u", "1337")
    positions = [
        line.split()[5:7] if line.startswith("insert") else line.split()[0]
        for line in lines
        if "mangle istio-inbound" in line
    ]
    assert positions == ["add", "add", "add", "add"]


def test_cleaning_does_not_care_what_is_there() -> None:
    assert cleanup_script().splitlines() == [
        f"{verb} table inet istio-proxy-{table}" for table in ("nat", "mangle", "raw") for verb in ("add", "delete")
    ]
