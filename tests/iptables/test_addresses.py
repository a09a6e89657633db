"""Addresses and ranges, as Go reads and writes them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.iptables.addresses import (
    Ranges,
    format_address,
    is_link_local,
    is_loopback,
    is_v6,
    parse_address,
    parse_prefix,
)
from meshproxy.iptables.errors import SetupError


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.1.2.3/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8:0:0:1:0:0:1/64", "2001:db8::1:0:0:1/64"),
        ("1:0:0:2:0:0:0:3/10", "1:0:0:2::3/10"),
        ("::127.0.0.53/128", "::7f00:35/128"),
        ("::ffff:10.0.0.1/104", "::ffff:10.0.0.1/104"),
        ("1:2:3:4:5:6:0:8/128", "1:2:3:4:5:6:0:8/128"),
    ],
)
def test_a_range_keeps_its_host_bits(text: str, plain: str) -> None:
    assert parse_prefix(text).text == plain


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0/8", "10.00.0.0/8", "300.0.0.0/8",
     "fd00::/129", "fe80::1%eth0/64", "x/8", "/8", "10.0.0.0/8/8", "10.0.0.0/٨"],
)  # fmt: skip
def test_no_range(text: str) -> None:
    with pytest.raises(ValueError):
        parse_prefix(text)


@given(st.binary(min_size=16, max_size=16) | st.lists(st.sampled_from([0, 0, 0, 1, 65535]), min_size=8, max_size=8))
def test_ipv6_is_written_as_the_standard_library_does(value: bytes | list[int]) -> None:
    packed = value if isinstance(value, bytes) else b"".join(group.to_bytes(2, "big") for group in value)
    address = ipaddress.IPv6Address(packed)
    if address.ipv4_mapped is None:
        assert format_address(packed) == str(address)
    assert parse_address(format_address(packed)) == packed


@pytest.mark.parametrize(
    ("text", "loopback", "local", "v6"),
    [
        ("127.8.8.8", True, False, False),
        ("::1", True, False, True),
        ("::ffff:127.0.0.1", True, False, False),
        ("169.254.1.1", False, True, False),
        ("224.0.0.251", False, True, False),
        ("fe80::1", False, True, True),
        ("febf::1", False, True, True),
        ("fec0::1", False, False, True),
        ("ff02::1", False, True, True),
        ("10.0.0.1", False, False, False),
        ("fd00::1", False, False, True),
        ("::ffff:10.0.0.1", False, False, False),
    ],
)
def test_kinds(text: str, loopback: bool, local: bool, v6: bool) -> None:
    packed = parse_address(text)
    assert (is_loopback(packed), is_link_local(packed), is_v6(packed)) == (loopback, local, v6)


def test_a_list_is_split_by_family() -> None:
    ranges = Ranges("10.0.0.0/8,fd00::/8,,192.168.0.0/16,", "-i")
    assert [prefix.text for prefix in ranges.v4] == ["10.0.0.0/8", "192.168.0.0/16"]
    assert [prefix.text for prefix in ranges.v6] == ["fd00::/8"]
    assert not ranges.everything and not ranges.has_loopback
    assert Ranges("*", "-i").everything
    assert Ranges("10.0.0.0/8,::1/128", "-i").has_loopback


def test_a_bad_range_is_named_with_its_flag() -> None:
    with pytest.raises(SetupError, match=r'^-i: "10.0.0.300" is no IP address; give ranges such as 10.0.0.0/8'):
        Ranges("10.0.0.0/8,10.0.0.300/8", "-i")
