"""TLS contexts that live on while what they are made of changes: certificates are rotated, connections stay.

Whoever makes a connection asks for the context of the moment. What a file says is read when its directory has changed;
what cannot be used is reported and leaves things as they were.
"""

import hashlib
import logging
from typing import Protocol

from meshproxy.net.certificate import certificates_in
from meshproxy.net.tls_settings import TlsSettings
from meshproxy.net.tls_stats import NEVER, SocketFactoryStats, TlsStats
from meshproxy.observe.peers import Peers
from meshproxy.observe.stats import StatGroup

_log = logging.getLogger("secret")


class SecretStats(StatGroup):
    """`sds.<name>.*`."""

    COUNTERS = (
        "init_fetch_timeout", "key_rotation_failed", "update_attempt", "update_failure", "update_rejected",
        "update_success",
    )  # fmt: skip
    GAUGES = ("update_time", "version")

    SAME = frozenset((*COUNTERS, *GAUGES))

    __slots__ = (*COUNTERS, *GAUGES)


class Loader(Protocol):
    """Reads what a context is made of."""

    def load(self) -> TlsSettings | None:
        """As it is now; None while a secret is missing. Raises ValueError with the reason."""

    def directories(self) -> set[str]:
        """To look at for changes, as far as that is known."""

    def failed(self) -> None:
        """What was loaded could not be used."""


class LiveTls:
    """One side's context. A subclass makes it of the settings (`make`), which are None while a secret is missing."""

    def __init__(self, loader: Loader, name: str) -> None:
        """name: whose it is, for the log. Raises ValueError where what is there cannot be used."""
        self._loader = loader
        self._name = name
        self.settings: TlsSettings | None = None
        self.stats: TlsStats
        # Whom its connections talk to.
        self.peers = Peers()
        self.factory_stats = SocketFactoryStats()
        self.settings = loader.load()
        if self.settings is not None:
            self.make(self.settings)

    def make(self, settings: TlsSettings) -> None:
        """Connections from now on are of these. Raises ValueError where that cannot be."""
        raise NotImplementedError

    def count_in(self, stats: TlsStats) -> None:
        """Contexts of one listener or cluster have their stats together."""
        self.stats = stats
        stats.contexts.append(self.expirations)

    def expirations(self) -> dict[str, int]:
        """When certificates end, by Envoy's name for each, in seconds since the epoch."""
        settings = self.settings
        if settings is None:
            return {}
        found = {_name("cert", each.name, each.inline): _end(each.chain) for each in settings.identities}
        trust = settings.trust
        for i, (_, authorities) in enumerate(trust.domains):
            found[f"unnamed_ca_cert_{i}"] = _end(authorities)
        if settings.has_trust and not trust.domains:
            name = trust.name or (_name("ca_cert", "", trust.inline) if trust.authorities else "unnamed_ca_cert")
            found[name] = _end(trust.authorities)
        return found

    def directories(self) -> set[str]:
        return self._loader.directories()

    def update(self) -> None:
        """Something may have changed."""
        try:
            settings = self._loader.load()
            if settings is None or settings == self.settings:
                return
            self.make(settings)
        except Exception as error:
            # Whatever it is, what was good a moment ago still is.
            self._loader.failed()
            _log.warning("Failed to reload certificates of %s: %s", self._name, error)
            return
        self.settings = settings
        self.factory_stats.ssl_context_update_by_sds += 1
        _log.info("TLS certificates of %s were loaded again", self._name)


def _name(kind: str, name: str, inline: bytes | None) -> str:
    """A secret's name, or one made of what stands in the configuration."""
    return name or f"unnamed_{kind}_{hashlib.sha256(inline).hexdigest()[:8] if inline is not None else ''}"


def _end(pem: bytes) -> int:
    """Of the certificate that ends first."""
    found = certificates_in(pem)
    return min(int(each.ends) for each in found) if found else NEVER
