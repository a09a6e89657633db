"""TLS contexts that live on while what they are made of changes: certificates are rotated, connections stay.

Whoever makes a connection asks for the context of the moment. What a file says is read when its directory has changed;
what cannot be used is reported and leaves things as they were.
"""

import logging
from typing import Protocol

from meshproxy.net.tls_settings import TlsSettings
from meshproxy.net.tls_stats import SocketFactoryStats, TlsStats
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
        self.stats = TlsStats()
        self.factory_stats = SocketFactoryStats()
        self.settings = loader.load()
        if self.settings is not None:
            self.make(self.settings)

    def make(self, settings: TlsSettings) -> None:
        """Connections from now on are of these. Raises ValueError where that cannot be."""
        raise NotImplementedError

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
