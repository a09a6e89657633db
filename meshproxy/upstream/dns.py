"""Endpoints from names: STRICT_DNS and LOGICAL_DNS clusters, on the system's resolver unless they have their own.

Every name is looked up for as long as the cluster lives. A lookup that fails changes nothing: the last good endpoints
serve. The answer that a name has no addresses empties a STRICT_DNS cluster and leaves a LOGICAL_DNS one, as in Envoy.
"""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from meshproxy.net.randomness import source
from meshproxy.net.tasks import start_task
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.dns_names import DnsStats, Found, Lookup, LookupFailed
from meshproxy.upstream.endpoint import Endpoint

# The resolver knows for certain that there is no address; everything else may be different in a moment.
_NO_ADDRESS = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})

_uniform = source("dns").uniform

# So many endpoints change in turns with everything else, fewer at once.
_MANY = 256


@dataclass(slots=True)
class DnsSettings:
    """Seconds. family: a Cluster.DnsLookupFamily. After failures waits grow from failure_base to failure_max.

    respect_ttl: names are looked up again when their addresses expire, but not within less than `minimum`.
    """

    refresh: float = 5.0
    jitter: float = 0.0
    failure_base: float = 0.0
    failure_max: float = 0.0
    family: str = "AUTO"
    respect_ttl: bool = False
    minimum: float = 0.0


async def lookup(name: str, family: str) -> Found:
    """Asks the system. Raises LookupFailed."""
    asked = {"V4_ONLY": socket.AF_INET, "V6_ONLY": socket.AF_INET6}.get(family, socket.AF_UNSPEC)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, family=asked, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_ADDRESS:
            return Found([])
        raise LookupFailed(f"{name}: {error.strerror}") from error
    except UnicodeError as error:
        raise LookupFailed(f"{name}: not a host name") from error
    return Found(_of_family([str(entry[4][0]) for entry in found], family))


def _of_family(addresses: list[str], family: str) -> list[str]:
    unique = list(dict.fromkeys(addresses))
    v4 = [address for address in unique if ":" not in address]
    v6 = [address for address in unique if ":" in address]
    if family == "ALL":
        return v6 + v4
    return (v4 or v6) if family == "V4_PREFERRED" else (v6 or v4)


async def lookup_again(retries: int, name: str, family: str) -> Found:
    """The same, with so many further tries where the system's resolver asks for one."""
    for _ in range(retries):
        try:
            return await lookup(name, family)
        except LookupFailed:
            continue
    return await lookup(name, family)


class DnsDiscovery(ABC):
    """`templates`: the endpoints of the configuration, whose hosts are names. Subclasses say what addresses become."""

    __slots__ = ("_lookup", "_pending", "_settings", "_tasks", "_warm", "cluster", "counts", "templates")

    def __init__(
        self, cluster: Cluster, templates: list[Endpoint], settings: DnsSettings, resolve: Lookup = lookup
    ) -> None:
        self.cluster = cluster
        self.templates = templates
        self._settings = settings
        self._lookup = resolve
        # Of all clusters together, where somebody shows them.
        self.counts = DnsStats()
        self._tasks: list[asyncio.Task[Any]] = []
        self._pending = len(templates)
        self._warm = asyncio.Event()

    def start(self) -> None:
        if not self.templates:
            self._warm.set()
        for template in self.templates:
            task = start_task(self._follow(template), f"DNS lookups of {template.hostname} for {self.cluster.name}")
            self._tasks.append(task)

    async def wait(self) -> None:
        """Until every name had its first answer, good or bad."""
        await self._warm.wait()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    @abstractmethod
    async def apply(self, template: Endpoint, addresses: list[str]) -> bool:
        """Gives the cluster what a name has become; False where that counts as a failure."""
        raise NotImplementedError

    async def _follow(self, template: Endpoint) -> None:
        settings = self._settings
        failures = 0
        first = True
        while True:
            found = await self._once(template)
            failures = 0 if found is not None else failures + 1
            if first:
                first = False
                self._pending -= 1
                if not self._pending:
                    self._warm.set()
            if found is None and settings.failure_base:
                wait = _uniform(0, min(settings.failure_base * 2.0 ** (failures - 1), settings.failure_max))
            else:
                wait = settings.refresh
                if found is not None and found.ttl and settings.respect_ttl:
                    wait = max(float(found.ttl), settings.minimum)
                wait += _uniform(0, settings.jitter)
            await asyncio.sleep(max(wait, 0.001))

    async def _once(self, template: Endpoint) -> Found | None:
        """What was found; None for a failure."""
        stats = self.cluster.stats
        stats.update_attempt += 1
        try:
            found = await self._resolve(template.address[0])
            good = await self.apply(template, found.addresses)
        except LookupFailed:
            good = False
        if good:
            stats.update_success += 1
            return found
        stats.update_failure += 1
        return None

    async def _resolve(self, name: str) -> Found:
        counts = self.counts
        counts.resolve_total += 1
        counts.pending_resolutions += 1
        try:
            found = await self._lookup(name, self._settings.family)
        except LookupFailed as error:
            if error.timeout:
                counts.timeouts += 1
            else:
                counts.get_addr_failure += 1
            raise
        finally:
            counts.pending_resolutions -= 1
        if not found.addresses:
            counts.not_found += 1
        return found


class StrictDns(DnsDiscovery):
    """Every address of every name is an endpoint."""

    __slots__ = ("_found",)

    def __init__(
        self, cluster: Cluster, templates: list[Endpoint], settings: DnsSettings, resolve: Lookup = lookup
    ) -> None:
        super().__init__(cluster, templates, settings, resolve)
        self._found: dict[Endpoint, list[str]] = {}

    async def apply(self, template: Endpoint, addresses: list[str]) -> bool:
        if sorted(self._found.get(template, [])) == sorted(addresses):
            self.cluster.stats.update_no_rebuild += 1
            return True
        self._found[template] = addresses
        if sum(map(len, self._found.values())) < _MANY:
            self.cluster.set_endpoints(list(self._endpoints()))
        else:
            await self.cluster.change_endpoints(self._endpoints())
        weights = [each.weight for each, found in self._found.items() if found]
        self.cluster.stats.max_host_weight = max(weights, default=0)
        return True

    def _endpoints(self) -> Iterator[Endpoint]:
        for each in self.templates:
            for address in self._found.get(each, ()):
                yield each.at((address, each.address[1]))


class LogicalDns(DnsDiscovery):
    """One endpoint, whose address is the first one at the moment; connections that are there stay."""

    __slots__ = ()

    async def apply(self, template: Endpoint, addresses: list[str]) -> bool:
        if not addresses:
            return False
        cluster = self.cluster
        address = (addresses[0], template.address[1])
        if not cluster.endpoints:
            cluster.set_endpoints([template.at(address)])
        elif cluster.endpoints[0].address == address:
            cluster.stats.update_no_rebuild += 1
        else:
            cluster.endpoints[0].move(address)
            cluster.stats.membership_change += 1
        return True
