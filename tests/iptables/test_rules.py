"""The rules for iptables: what they do with packets, and their letters."""

import pytest

from .packets import Packet, fate
from .planning import changed, plan

USUAL = ("-u", "1337", "-i", "*", "-b", "*", "-d", "15090,15021,15020")
DNS = {"MESHPROXY_TEST_DNS_SERVERS": "10.0.0.10,fd00::a"}


def outbound(flags: tuple[str, ...], packet: Packet, **environment: str) -> str:
    v6 = packet.dst.version == 6
    return fate(plan(*flags, v6=v6, **environment), "nat", "OUTPUT", packet)


def inbound(flags: tuple[str, ...], packet: Packet, table: str = "nat", **environment: str) -> str:
    return fate(plan(*flags, v6=packet.dst.version == 6, **environment), table, "PREROUTING", packet)


@pytest.mark.parametrize(
    ("what", "packet", "expected"),
    [
        ("the application calls a service", Packet("10.96.0.1", 80), "REDIRECT 15001"),
        ("over IPv6", Packet("fd00::1", 80, src="fd00::2"), "REDIRECT 15001"),
        ("the application speaks UDP", Packet("10.96.0.1", 53, proto="udp"), "pass"),
        ("the application calls itself on loopback", Packet("127.0.0.1", 80, nic="lo"), "pass"),
        ("the same over IPv6", Packet("::1", 80, src="::1", nic="lo"), "pass"),
        ("the application calls itself by its address", Packet("10.0.0.1", 80, nic="lo"), "pass"),
        ("the proxy calls another pod", Packet("10.0.0.9", 80, uid=1337, gid=1337), "pass"),
        ("the proxy's group is enough", Packet("10.0.0.9", 80, gid=1337), "pass"),
        (
            "the proxy calls its own pod for the application",
            Packet("10.0.0.1", 80, nic="lo", uid=1337),
            "REDIRECT 15006",
        ),
        ("the same for the group", Packet("10.0.0.1", 80, nic="lo", uid=1337, gid=1337), "REDIRECT 15006"),
        ("the proxy tunnels to its own pod", Packet("10.0.0.1", 15008, nic="lo", uid=1337, gid=1337), "pass"),
        ("the proxy delivers to the application", Packet("127.0.0.1", 80, nic="lo", uid=1337, gid=1337), "pass"),
        (
            "from the address that is never captured",
            Packet("10.0.0.1", 80, src="127.0.0.6", nic="lo", uid=1337),
            "pass",
        ),
        ("the same over IPv6", Packet("fd00::1", 80, src="::6", nic="lo", uid=1337), "pass"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_outbound(what: str, packet: Packet, expected: str) -> None:
    assert outbound(USUAL, packet) == expected


@pytest.mark.parametrize(
    ("flags", "packet", "expected"),
    [
        ("", Packet("10.96.0.1"), "pass"),
        ("-i 10.96.0.0/16,fd00::/8", Packet("10.96.0.1"), "REDIRECT 15001"),
        ("-i 10.96.0.0/16,fd00::/8", Packet("10.97.0.1"), "pass"),
        ("-i 10.96.0.0/16,fd00::/8", Packet("fd12::1", src="fd00::2"), "REDIRECT 15001"),
        ("-i 10.96.0.0/16,fd00::/8", Packet("2001:db8::1", src="fd00::2"), "pass"),
        ("-i * -x 10.96.0.0/16", Packet("10.96.0.1"), "pass"),
        ("-i * -x 10.96.0.0/16", Packet("10.97.0.1"), "REDIRECT 15001"),
        ("-q 3306", Packet("10.96.0.1", 3306), "REDIRECT 15001"),
        ("-q 3306", Packet("10.96.0.1", 3307), "pass"),
        ("-q 3306 -x 10.96.0.0/16", Packet("10.96.0.1", 3306), "pass"),
        ("-i * -o 25,587", Packet("10.96.0.1", 587), "pass"),
        ("-i * -o 25,587", Packet("10.96.0.1", 80), "REDIRECT 15001"),
        ("-q 25 -o 25", Packet("10.96.0.1", 25), "pass"),
        ("-i * -c eth7", Packet("10.96.0.1", nic="eth7"), "pass"),
        ("-i * -c eth7", Packet("10.96.0.1", nic="eth8"), "REDIRECT 15001"),
        ("-i * -p 777", Packet("10.96.0.1"), "REDIRECT 777"),
        ("-i * -u 5,6", Packet("10.96.0.1", uid=6), "pass"),
        ("-i * -u 5 -g 7,8", Packet("10.96.0.1", gid=8), "pass"),
        ("-i * -u 5 -g 7", Packet("10.96.0.1", uid=1337, gid=1337), "REDIRECT 15001"),
        ("-i 127.0.0.0/8", Packet("127.0.0.2", nic="lo"), "REDIRECT 15001"),
    ],
)
def test_outbound_flags(flags: str, packet: Packet, expected: str) -> None:
    assert outbound(tuple(flags.split()), packet) == expected


@pytest.mark.parametrize(
    ("groups", "gid", "expected"),
    [
        ({"": "7,8"}, 7, "REDIRECT 15001"),
        ({"": "7,8"}, 8, "REDIRECT 15001"),
        ({"": "7,8"}, 9, "pass"),
        ({"": ""}, 7, "pass"),
        ({"": "*", "_EXCLUDE": "7,8"}, 8, "pass"),
        ({"": "*", "_EXCLUDE": "7,8"}, 9, "REDIRECT 15001"),
        ({"": "9", "_EXCLUDE": "9"}, 9, "REDIRECT 15001"),
    ],
)
def test_owner_groups(groups: dict[str, str], gid: int, expected: str) -> None:
    variables = {f"ISTIO_OUTBOUND_OWNER_GROUPS{suffix}": value for suffix, value in groups.items()}
    assert outbound(USUAL, Packet("10.96.0.1", gid=gid), **variables) == expected


@pytest.mark.parametrize(
    ("flags", "packet", "expected"),
    [
        ("-b *", Packet("10.0.0.1", 8080), "REDIRECT 15006"),
        ("-b *", Packet("fd00::1", 8080, src="fd00::2"), "REDIRECT 15006"),
        ("-b * -z 777", Packet("10.0.0.1", 8080), "REDIRECT 777"),
        ("-b *", Packet("10.0.0.1", 15008), "pass"),
        ("-b * -e 777", Packet("10.0.0.1", 777), "pass"),
        ("-b * -d 22,15090", Packet("10.0.0.1", 22), "pass"),
        ("-b *", Packet("10.0.0.1", 8080, proto="udp"), "pass"),
        ("-b 80,443", Packet("10.0.0.1", 443), "REDIRECT 15006"),
        ("-b 80,443", Packet("10.0.0.1", 444), "pass"),
        ("-b 80 -d 80", Packet("10.0.0.1", 80), "REDIRECT 15006"),
        ("", Packet("10.0.0.1", 80), "pass"),
        ("-b * -c eth0", Packet("10.0.0.1", 80), "pass"),
        ("-b * -i * -k kv0", Packet("10.96.0.1", 80, nic="kv0"), "REDIRECT 15001"),
        ("-b * -i 10.96.0.0/16 -k kv0", Packet("10.96.0.1", 80, nic="kv0"), "REDIRECT 15001"),
        ("-b * -i 10.96.0.0/16 -k kv0", Packet("10.97.0.1", 80, nic="kv0"), "pass"),
    ],
)
def test_inbound(flags: str, packet: Packet, expected: str) -> None:
    assert inbound(tuple(flags.split()), packet) == expected


@pytest.mark.parametrize(
    ("flags", "packet", "expected", "mark"),
    [
        ("-b *", Packet("10.0.0.1", 8080), "TPROXY 15006", 0),
        ("-b *", Packet("fd00::1", 8080, src="fd00::2"), "TPROXY 15006", 0),
        ("-b *", Packet("10.0.0.1", 8080, state="ESTABLISHED"), "ACCEPT", 1337),
        ("-b * -t 7", Packet("10.0.0.1", 8080, state="ESTABLISHED"), "ACCEPT", 7),
        ("-b * -d 22", Packet("10.0.0.1", 22), "pass", 0),
        ("-b 80", Packet("10.0.0.1", 80), "TPROXY 15006", 0),
        ("-b 80", Packet("10.0.0.1", 81), "pass", 0),
        ("-b *", Packet("10.0.0.1", 80, src="10.0.0.1", nic="lo"), "pass", 0),
        ("-b *", Packet("10.0.0.1", 80, nic="lo", mark=1338), "TPROXY 15006", 1338),
        ("-b *", Packet("10.0.0.1", 80, mark=1337), "pass", 1337),
        ("-b *", Packet("10.0.0.1", 80, src="127.0.0.6", nic="lo", mark=1338), "pass", 1338),
        ("-b * -c eth0", Packet("10.0.0.1", 80), "pass", 0),
    ],
)
def test_inbound_with_tproxy(flags: str, packet: Packet, expected: str, mark: int) -> None:
    assert inbound(("-m", "TPROXY", "-u", "1337", *flags.split()), packet, "mangle") == expected
    assert packet.mark == mark


def test_with_tproxy_the_mark_comes_back_with_the_answer() -> None:
    lines = plan("-m", "TPROXY", "-u", "1337", "-b", "*")
    packet = Packet("10.0.0.1", 80, src="10.0.0.9", mark=1337)
    fate(lines, "mangle", "PREROUTING", packet)
    assert packet.connmark == 1337
    answer = Packet("10.0.0.9", 40000, src="10.0.0.1", connmark=1337)
    fate(lines, "mangle", "OUTPUT", answer)
    assert answer.mark == 1337
    to_itself = Packet("10.0.0.1", 80, nic="lo", uid=1337, gid=1337)
    fate(lines, "mangle", "OUTPUT", to_itself)
    assert to_itself.mark == 1338


@pytest.mark.parametrize("proto", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("flags", "packet", "expected"),
    [
        ("", ("10.0.0.10", 1000, "eth0"), "REDIRECT 15053"),
        ("", ("fd00::a", 1000, "eth0"), "REDIRECT 15053"),
        ("", ("10.0.0.11", 1000, "eth0"), "pass"),
        ("", ("10.0.0.10", 1337, "eth0"), "pass"),
        ("", ("10.0.0.10", 1000, "lo"), "REDIRECT 15053"),
        ("--capture-all-dns", ("10.0.0.11", 1000, "eth0"), "REDIRECT 15053"),
        ("--capture-all-dns", ("10.0.0.11", 1337, "eth0"), "pass"),
    ],
)
def test_questions_to_dns_servers(proto: str, flags: str, packet: tuple[str, int, str], expected: str) -> None:
    dst, uid, nic = packet
    question = Packet(dst, 53, src="fd00::2" if ":" in dst else "10.0.0.1", uid=uid, gid=uid, nic=nic, proto=proto)
    assert outbound(("-u", "1337", "--redirect-dns", *flags.split()), question, **DNS) == expected


def test_dns_of_agent_and_application_are_in_zones_of_their_own() -> None:
    lines = plan("-u", "1337", "--redirect-dns", **DNS)
    for uid, dst, sport, dport, zone in (
        (1000, "10.0.0.10", 40000, 53, "zone 2"),
        (1337, "10.0.0.10", 40000, 53, "zone 1"),
        (1337, "10.0.0.1", 15053, 40000, "zone 2"),
        (1000, "10.0.0.11", 40000, 53, "pass"),
    ):
        packet = Packet(dst, dport, sport=sport, uid=uid, gid=uid, proto="udp")
        assert fate(lines, "raw", "OUTPUT", packet) == zone
    answer = Packet("10.0.0.1", 40000, src="10.0.0.10", sport=53, proto="udp")
    assert fate(lines, "raw", "PREROUTING", answer) == "zone 1"


def test_invalid_packets_are_dropped_if_wanted() -> None:
    lost = Packet("10.0.0.1", 80, state="INVALID")
    assert inbound(("-b", "*", "--drop-invalid"), lost, "mangle") == "DROP"
    assert inbound(("-b", "*"), lost, "mangle") == "pass"


def test_the_letters_of_the_usual_rules() -> None:
    owner = "-m owner --{0}-owner 1337"
    passing = [
        "-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --{0}-owner 1337 -j ISTIO_IN_REDIRECT",
        "-o lo -m owner ! --{0}-owner 1337 -j RETURN",
        f"{owner} -j RETURN",
    ]
    assert plan(*USUAL) == [
        "* nat",
        *(f"-N ISTIO_{name}" for name in ("INBOUND", "REDIRECT", "IN_REDIRECT", "OUTPUT")),
        "-A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN",
        "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001",
        "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006",
        "-A PREROUTING -p tcp -j ISTIO_INBOUND",
        *(f"-A ISTIO_INBOUND -p tcp --dport {port} -j RETURN" for port in (15090, 15021, 15020)),
        "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
        "-A OUTPUT -j ISTIO_OUTPUT",
        "-A ISTIO_OUTPUT -o lo -s 127.0.0.6/32 -j RETURN",
        *(f"-A ISTIO_OUTPUT {body.format(kind)}" for kind in ("uid", "gid") for body in passing),
        "-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN",
        "-A ISTIO_OUTPUT -j ISTIO_REDIRECT",
        "COMMIT",
    ]
    v6 = [line.replace("127.0.0.6/32", "::6/128").replace("127.0.0.1/32", "::1/128") for line in plan(*USUAL)]
    assert plan(*USUAL, v6=True) == v6


def test_ipv6_has_no_rules_where_it_is_off() -> None:
    assert plan(*USUAL, v6=True, MESHPROXY_TEST_IPV6="false") == []


@pytest.mark.parametrize(
    ("flags", "gone", "new"),
    [
        ("-k kv0,kv1", [], ["-I PREROUTING 1 -i kv0 -j RETURN", "-I PREROUTING 1 -i kv1 -j RETURN",
                            "-I PREROUTING 1 -i kv0 -j ISTIO_REDIRECT", "-I PREROUTING 1 -i kv1 -j ISTIO_REDIRECT"]),
        ("-o 25", [], ["-A ISTIO_OUTPUT -p tcp --dport 25 -j RETURN", "-A ISTIO_OUTPUT -p udp --dport 25 -j RETURN"]),
        ("-c e0", [], ["-A PREROUTING -i e0 -j RETURN", "-A OUTPUT -o e0 -j RETURN"]),
        ("--drop-invalid", [], ["* mangle", "-N ISTIO_DROP",
                                "-A PREROUTING -m conntrack --ctstate INVALID -j ISTIO_DROP", "-A ISTIO_DROP -j DROP"]),
        ("--redirect-dns --capture-all-dns",
         ["-A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337"
          " -j ISTIO_IN_REDIRECT",
          "-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN",
          "-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN"],
         ["-N ISTIO_OUTPUT_DNS",
          "-A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp -m multiport ! --dports 53,15008 -m owner --uid-owner 1337"
          " -j ISTIO_IN_REDIRECT",
          "-A ISTIO_OUTPUT -o lo -p tcp ! --dport 53 -m owner ! --uid-owner 1337 -j RETURN",
          "-A ISTIO_OUTPUT -o lo -p tcp ! --dport 53 -m owner ! --gid-owner 1337 -j RETURN",
          "-A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS",
          "-A ISTIO_OUTPUT_DNS -p tcp --dport 53 -j REDIRECT --to-ports 15053",
          "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -j REDIRECT --to-port 15053",
          "* raw",
          "-N ISTIO_OUTPUT_DNS",
          "-A OUTPUT -j ISTIO_OUTPUT_DNS",
          "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1",
          "-A ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --uid-owner 1337 -j CT --zone 2",
          "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --gid-owner 1337 -j CT --zone 1",
          "-A ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --gid-owner 1337 -j CT --zone 2",
          "-A PREROUTING -j ISTIO_INBOUND",
          "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -j CT --zone 2",
          "-A ISTIO_INBOUND -p udp --sport 53 -j CT --zone 1"]),
        ("-i 127.0.0.1/8",
         [*(f"-A ISTIO_OUTPUT -o lo -m owner ! --{kind}-owner 1337 -j RETURN" for kind in ("uid", "gid")),
          "-A ISTIO_OUTPUT -j ISTIO_REDIRECT"],
         ["-A ISTIO_OUTPUT -d 127.0.0.1/8 -j ISTIO_REDIRECT"]),
    ],
)  # fmt: skip
def test_the_letters_that_a_flag_changes(flags: str, gone: list[str], new: list[str]) -> None:
    assert changed(plan(*USUAL), plan(*USUAL, *flags.split())) == (gone, new)


def test_the_letters_of_tproxy() -> None:
    mangle = plan("-u", "1337", "-m", "TPROXY", "-b", "80")
    assert mangle[: mangle.index("COMMIT")] == [
        "* mangle",
        *(f"-N ISTIO_{name}" for name in ("DIVERT", "TPROXY", "INBOUND")),
        "-A ISTIO_DIVERT -j MARK --set-mark 1337",
        "-A ISTIO_DIVERT -j ACCEPT",
        "-A ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006",
        "-A PREROUTING -p tcp -j ISTIO_INBOUND",
        "-A ISTIO_INBOUND -p tcp --dport 80 -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT",
        "-A ISTIO_INBOUND -p tcp --dport 80 -j ISTIO_TPROXY",
        "-A PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark",
        "-A OUTPUT -p tcp -o lo -m mark --mark 1337 -j RETURN",
        *(
            f"-A OUTPUT ! -d 127.0.0.1/32 -p tcp -o lo -m owner --{kind}-owner 1337 -j MARK --set-mark 1338"
            for kind in ("uid", "gid")
        ),
        "-A OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark",
        "-I ISTIO_INBOUND 1 -p tcp -m mark --mark 1337 -j RETURN",
        "-I ISTIO_INBOUND 2 -p tcp -s 127.0.0.6/32 -i lo -j RETURN",
        "-I ISTIO_INBOUND 3 -p tcp -i lo -m mark ! --mark 1338 -j RETURN",
    ]


def test_a_family_without_dns_servers_has_the_zones_alone() -> None:
    lines = plan("-u", "1337", "--redirect-dns", v6=True, MESHPROXY_TEST_DNS_SERVERS="10.0.0.10")
    assert "-A OUTPUT -j ISTIO_OUTPUT_DNS" in lines
    assert "-A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS" not in lines
    assert not [line for line in lines if "15053" in line and "REDIRECT" in line]
    assert "-A PREROUTING -j ISTIO_INBOUND" not in lines
