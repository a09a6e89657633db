"""What is read from the machine."""

import pytest

from meshproxy.iptables.addresses import parse_address
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.host import dns_servers, families

from .planning import configured


@pytest.mark.parametrize(
    ("found", "dual", "expected"),
    [
        ("127.0.0.1 10.0.0.1", False, (False, False)),
        ("127.0.0.1 169.254.3.3 ::1 fe80::1 fd00::1", False, (True, True)),
        ("10.0.0.1 fd00::1", False, (False, False)),
        ("10.0.0.1 fd00::1", True, (False, True)),
        ("fd00::1 10.0.0.1", False, (True, True)),
        ("10.0.0.1", True, (False, False)),
        ("::ffff:10.0.0.1", True, (False, False)),
    ],
)
def test_the_first_address_decides_unless_both_are_wanted(found: str, dual: bool, expected: tuple[bool, bool]) -> None:
    assert families(map(parse_address, found.split()), dual) == expected


@pytest.mark.parametrize("found", ["", "127.0.0.1 ::1", "169.254.1.1 fe80::1"])
def test_a_machine_without_an_address(found: str) -> None:
    with pytest.raises(SetupError, match="no valid local IP address found"):
        families(map(parse_address, found.split()), False)


def test_name_servers() -> None:
    warnings: list[str] = []
    text = """
# nameserver 1.1.1.1
search example.com
nameserver 10.0.0.10
  nameserver fd00::a trailing words
nameserver ::127.0.0.53
nameserver
nameserver fe80::1%eth0
nameserver dns.example.com
nameserverx 1.2.3.4
"""
    assert dns_servers(text, warnings.append) == (["10.0.0.10"], ["fd00::a", "::7f00:35"])
    assert len(warnings) == 2 and "dns.example.com" in warnings[1]


def test_the_users_are_the_proxys() -> None:
    config = configured()
    assert (config.proxy_uid, config.proxy_gid) == ("1337", "1337")
    config = configured("-u", "5,6")
    assert (config.proxy_uid, config.proxy_gid) == ("5,6", "5,6")
    config = configured("-g", "7", ENVOY_USER="root")
    assert (config.proxy_uid, config.proxy_gid) == ("0", "7")


def test_dns_capture_without_a_server_is_none() -> None:
    assert not configured("--redirect-dns").captures_dns
    assert configured("--redirect-dns", MESHPROXY_TEST_DNS_SERVERS="10.0.0.10").captures_dns
    assert configured("--redirect-dns", "--capture-all-dns").captures_dns
    assert not configured("--capture-all-dns").captures_dns


def test_a_bad_override_is_named() -> None:
    with pytest.raises(SetupError, match="MESHPROXY_TEST_IPV6"):
        configured(MESHPROXY_TEST_IPV6="maybe")
