"""Who the client is: its address out of x-forwarded-for or another header (Envoy's original IP detection)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import RequestHeaders

Network = IPv4Network | IPv6Network

_MEMO_SIZE = 4096


class Addresses(dict[str, str | None]):
    """text -> the IP address in it as Envoy writes addresses, or None where it is no address."""

    def __missing__(self, text: str) -> str | None:
        try:
            address: str | None = str(ip_address(text)) if text.isascii() and "%" not in text else None
        except ValueError:
            address = None
        if len(text) <= 64:
            if len(self) >= _MEMO_SIZE:
                self.clear()
            self[text] = address
        return address


ADDRESSES = Addresses()


class Ranges:
    """CIDR ranges with the answers for addresses that were asked for before."""

    __slots__ = ("_known", "_networks")

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._known: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            parsed = ip_address(address)
            known = any(parsed in network for network in self._networks)
            if len(self._known) >= _MEMO_SIZE:
                self._known.clear()
            self._known[address] = known
        return known


@dataclass(frozen=True, slots=True)
class Detected:
    """What a detection found. `trusted`: the address may make the request an internal one."""

    address: str | None = None
    trusted: bool = False
    append: bool = False
    reject: LocalReply | None = None


NOTHING = Detected()
Detection = Callable[[RequestHeaders, str], Detected]


def last_forwarded(forwarded: str, hops: int) -> tuple[str | None, bool]:
    """The address in x-forwarded-for in front of `hops` trusted proxies, and whether it is the only one there is."""
    rest = forwarded
    for _ in range(hops):
        rest, comma, _ = rest.rpartition(",")
        if not comma:
            return None, False
    head, comma, last = rest.rpartition(",")
    if comma and not last:
        last = head + comma
    address = ADDRESSES[last.strip(" \t")]
    return address, address is not None and not comma and not hops


def forwarded_for(hops: int, append: bool) -> Detection:
    """envoy.http.original_ip_detection.xff with xff_num_trusted_hops."""
    missing = Detected(append=append)

    def detect(request: RequestHeaders, peer: str) -> Detected:
        forwarded = request.get("x-forwarded-for")
        if forwarded is None:
            return missing
        address, single = last_forwarded(forwarded, hops)
        return Detected(address, single, append) if address is not None else missing

    return detect


def forwarded_past(trusted: Ranges, append: bool) -> Detection:
    """The same with xff_trusted_cidrs: the last address that is not one of the trusted proxies'."""
    missing = Detected(append=append)

    def detect(request: RequestHeaders, peer: str) -> Detected:
        forwarded = request.get("x-forwarded-for")
        if forwarded is None or not peer or peer not in trusted:
            return missing
        address: str | None = None
        for part in reversed(forwarded.split(",")):
            address = ADDRESSES[part.strip(" \t")]
            if address is None:
                return missing
            if address not in trusted:
                break
        # Where all are trusted it is the first of them.
        return Detected(address, False, append)

    return detect


def custom_header(name: str, trusted: bool, reject: LocalReply | None) -> Detection:
    """envoy.http.original_ip_detection.custom_header."""
    refused = Detected(reject=reject)

    def detect(request: RequestHeaders, peer: str) -> Detected:
        values = request.get_all(name)
        address = ADDRESSES[values[0]] if values else None
        if address is None:
            return refused
        return Detected(address, trusted)

    return detect
