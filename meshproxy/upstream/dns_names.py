"""What looking up a name comes to, and what the system says of names: its servers, search domains and hosts."""

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from meshproxy.observe.stats import StatGroup


class Found(NamedTuple):
    """The IP addresses of a name, none where it has none. ttl: seconds that they hold; 0 where that is not known."""

    addresses: list[str]
    ttl: int = 0


class LookupFailed(Exception):
    """The resolver gave no answer. timeout: it was silent."""

    def __init__(self, reason: str, timeout: bool = False) -> None:
        super().__init__(reason)
        self.timeout = timeout


class DnsStats(StatGroup):
    """`dns.cares.*`: look-ups of all clusters, under the name of Envoy's resolver."""

    COUNTERS = ("get_addr_failure", "not_found", "reinits", "resolve_total", "timeouts")
    GAUGES = ("pending_resolutions",)
    # Every worker looks up the same names.
    SAME = frozenset((*COUNTERS, *GAUGES))
    __slots__ = (*COUNTERS, *GAUGES)


# From a name and a Cluster.DnsLookupFamily to its addresses. Raises LookupFailed.
Lookup = Callable[[str, str], Awaitable[Found]]


class SystemNames:
    """`/etc/resolv.conf` and `/etc/hosts`, read again when they have changed."""

    __slots__ = ("_hosts", "_resolv", "_texts")

    def __init__(self, resolv: str = "/etc/resolv.conf", hosts: str = "/etc/hosts") -> None:
        self._resolv = Path(resolv)
        self._hosts = Path(hosts)
        # By path: when it was changed, and its lines.
        self._texts: dict[Path, tuple[int, list[list[str]]]] = {}

    def servers(self) -> list[tuple[str, int]]:
        """The system's name servers; the one on this machine where none is named."""
        found = [words[1] for words in self._lines(self._resolv) if words[0] == "nameserver" and len(words) > 1]
        return [(address, 53) for address in found if _is_address(address)] or [("127.0.0.1", 53)]

    def has_servers(self) -> bool:
        """Whether the system names any server."""
        return any(words[0] == "nameserver" for words in self._lines(self._resolv))

    def candidates(self, name: str, search: bool) -> list[str]:
        """The full names that a name may stand for, in order."""
        whole = name.removesuffix(".")
        if name.endswith(".") or not search:
            return [whole]
        domains: list[str] = []
        dots = 1
        for keyword, *values in self._lines(self._resolv):
            if keyword in ("search", "domain"):
                domains = [value.strip(".") for value in values if value.strip(".")]
            for option in values if keyword == "options" else ():
                if option.startswith("ndots:") and option[6:].isdigit():
                    dots = min(15, int(option[6:]))
        longer = [f"{whole}.{domain}" for domain in domains]
        return [whole, *longer] if whole.count(".") >= dots else [*longer, whole]

    def hosts(self, name: str, family: str) -> list[str]:
        """The addresses that the hosts file has for a name."""
        wanted = name.removesuffix(".").lower()
        found = [
            words[0]
            for words in self._lines(self._hosts)
            if wanted in [alias.lower() for alias in words[1:]] and _is_address(words[0])
        ]
        v4 = [address for address in found if ":" not in address]
        v6 = [address for address in found if ":" in address]
        if family == "ALL":
            return v4 + v6
        if family in ("V4_ONLY", "V6_ONLY"):
            return v4 if family == "V4_ONLY" else v6
        return (v4 or v6) if family == "V4_PREFERRED" else (v6 or v4)

    def _lines(self, path: Path) -> list[list[str]]:
        try:
            changed = path.stat().st_mtime_ns
            known = self._texts.get(path)
            if known is None or known[0] != changed:
                lines = [line.partition("#")[0].split() for line in path.read_text("utf-8", "replace").splitlines()]
                known = self._texts[path] = changed, [words for words in lines if words]
        except OSError:
            # Not every image has them.
            return []
        return known[1]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
