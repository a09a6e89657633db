"""The secrets of the bootstrap by name, and those that are read from files; what they mean is in tls_secrets.py."""

from typing import Any

from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View

KIND_WORDS = {
    "tls_certificate": "secret", "validation_context": "certificate validation context",
    "session_ticket_keys": "TLS session ticket keys context", "generic_secret": "generic secret",
}  # fmt: skip


class SecretStore:
    """`files`: one FileSecret for each kind, name and file, however many contexts use it."""

    def __init__(self) -> None:
        self._static: dict[tuple[str, str], View] = {}
        self._used: set[tuple[str, str]] = set()
        self.files: dict[tuple[str, str, str], Any] = {}

    def add(self, view: View) -> None:
        """A secret of the bootstrap (envoy.extensions.transport_sockets.tls.v3.Secret)."""
        kind = view.which("type")
        if kind is None:
            raise ConfigError("Secret type not implemented")
        if kind == "generic_secret":
            view.ignore("generic_secret", why="nothing here reads generic secrets")
        if (kind, view.name) in self._static:
            raise ConfigError(f"Duplicate static {KIND_WORDS[kind]} secret name {view.name}")
        self._static[kind, view.name] = view

    def find(self, kind: str, name: str) -> View:
        """Raises ConfigError in Envoy's words."""
        secret = self._static.get((kind, name))
        if secret is None:
            raise ConfigError(f"Unknown static {KIND_WORDS[kind]}: {name}")
        self._used.add((kind, name))
        return secret

    def settle(self) -> None:
        """No more contexts come: a secret that nobody names has been read as far as anybody wants."""
        for key, secret in self._static.items():
            if key not in self._used:
                secret.take()
