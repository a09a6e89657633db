"""Whom x-forwarded-for and other headers name."""

from ipaddress import ip_network

import pytest

from meshproxy.http.client_address import NOTHING, Ranges, custom_header, forwarded_for, forwarded_past, last_forwarded
from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import RequestHeaders


def request(**headers: str) -> RequestHeaders:
    return RequestHeaders("GET", "/", "a", [(name.replace("_", "-"), value) for name, value in headers.items()])


@pytest.mark.parametrize(
    "text, hops, address, single",
    [
        ("1.2.3.4", 0, "1.2.3.4", True),
        ("1.2.3.4, 5.6.7.8 ", 0, "5.6.7.8", False),
        ("1.2.3.4, 5.6.7.8", 1, "1.2.3.4", False),
        ("1.2.3.4", 1, None, False),
        ("1.2.3.4,", 0, None, False),
        ("1.2.3.4,", 1, "1.2.3.4", False),
        ("bad", 0, None, False),
        ("::1", 0, "::1", True),
        ("[::1]", 0, None, False),
        ("1.2.3.4:80", 0, None, False),
        ("0:0:0:0:0:0:0:1", 0, "::1", True),
        ("\xa01.2.3.4", 0, None, False),
        ("", 0, None, False),
    ],
)
def test_the_last_forwarded(text: str, hops: int, address: str | None, single: bool) -> None:
    assert last_forwarded(text, hops) == (address, single)


def test_behind_trusted_hops() -> None:
    detect = forwarded_for(1, append=True)
    assert detect(request(x_forwarded_for="1.2.3.4, 5.6.7.8"), "9.9.9.9").address == "1.2.3.4"
    assert detect(request(), "9.9.9.9").append


def test_past_trusted_ranges() -> None:
    detect = forwarded_past(Ranges([ip_network("10.0.0.0/8")]), append=False)
    chain = request(x_forwarded_for="1.2.3.4, 10.0.0.1, 10.0.0.2")
    assert detect(chain, "10.0.0.3").address == "1.2.3.4"
    assert detect(chain, "8.8.8.8").address is None
    assert detect(request(x_forwarded_for="1.2.3.4, bad, 10.0.0.2"), "10.0.0.3").address is None
    assert detect(request(x_forwarded_for="10.0.0.1, 10.0.0.2"), "10.0.0.3").address == "10.0.0.1"
    assert detect(request(), "10.0.0.3").address is None


def test_a_custom_header() -> None:
    refused = LocalReply(401)
    detect = custom_header("x-ip", trusted=True, reject=refused)
    found = detect(request(x_ip="1.2.3.4"), "9.9.9.9")
    assert (found.address, found.trusted, found.reject) == ("1.2.3.4", True, None)
    assert detect(request(x_ip="bad"), "9.9.9.9").reject is refused
    assert custom_header("x-ip", trusted=True, reject=None)(request(), "9.9.9.9") == NOTHING


def test_ranges_hold_both_families() -> None:
    ranges = Ranges([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    assert [address in ranges for address in ("10.1.2.3", "fd00::1", "11.0.0.1", "::1", "10.1.2.3")] == [
        True, True, False, False, True,
    ]  # fmt: skip
