"""Secrets by name: those of the bootstrap, and those in files of their own that change while the proxy runs (SDS).

What a TLS context is made of is read through Sources, again and again: `read` gives what is there now, and None for a
secret that has not come yet; then connections are closed, and none is made without TLS.
"""

import logging
import os
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from meshproxy.config import source as text_source
from meshproxy.config.build_identity import IdentitySource, build_identity
from meshproxy.config.build_trust import TrustSource, build_trust
from meshproxy.config.context import Context
from meshproxy.config.data_source import DataSource, data_source
from meshproxy.config.errors import ConfigError, ConfigErrors, Problem
from meshproxy.config.parse import parse
from meshproxy.config.rules import check_rules
from meshproxy.config.view import View, unread
from meshproxy.net.tls_live import SecretStats
from meshproxy.net.tls_settings import Identity
from meshproxy.net.tls_verify import Trust

_log = logging.getLogger("secret")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_DISCOVERY = "envoy.service.discovery.v3.DiscoveryResponse"
_SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"
_NOT_YET = "secrets from a server (SDS over gRPC) are not supported yet: name a file by path_config_source"


class Source(Protocol[T_co]):
    """Something that can be read more than once."""

    def read(self) -> T_co | None:
        """What is there now, None for a secret that is not. Raises ConfigError."""

    def directories(self) -> set[str]:
        """Whose changes mean that it may be another now; known once it was read."""


class TicketKeys:
    """TlsSessionTicketKeys: the first makes tickets, all are accepted."""

    def __init__(self, keys: list[DataSource]) -> None:
        self._keys = keys

    def read(self) -> tuple[bytes, ...]:
        found = tuple(key.read() for key in self._keys)
        for key in found:
            if len(key) != 80:
                raise ConfigError(f"Incorrect TLS session ticket key length. Length {len(key)}, expected length 80.")
        return found

    def directories(self) -> set[str]:
        return {os.path.dirname(key.path) or "." for key in self._keys if key.kind == "filename"}


def build_ticket_keys(view: View) -> TicketKeys:
    return TicketKeys([data_source(each) for each in view.keys])


class FileSecret(Generic[T]):
    """A secret in a DiscoveryResponse that a file holds."""

    def __init__(self, name: str, path: str, watched: str, build: Callable[[View], Source[T]]) -> None:
        self.name = name
        self._path = path
        self._watched = watched
        self._build = build
        self._found: Source[T] | None = None
        self._text: bytes | None = None
        self.stats = SecretStats()

    def read(self) -> T | None:
        text = text_source.read_bytes(self._path)
        if text != self._text:
            self._text = text
            self.stats.update_attempt += 1
            try:
                self._found = self._build(self._open())
            except ConfigError as error:
                self.stats.update_rejected += 1
                _log.warning("sds: secret '%s' config rejected: %s", self.name, error)
            else:
                self.stats.update_success += 1
        return self._found.read() if self._found is not None else None

    def directories(self) -> set[str]:
        own = self._watched or os.path.dirname(self._path) or "."
        return {own} | (self._found.directories() if self._found is not None else set())

    def _open(self) -> View:
        """The secret in the file."""
        tree = text_source.read(self._path).tree
        message, problems = parse(tree, _DISCOVERY)
        _refuse([*problems, *check_rules(message)])
        resources = View(message).resources
        if len(resources) != 1:
            raise ConfigError(f"Unexpected SDS secrets length: {len(resources)}")
        if resources[0].type_name != _SECRET:
            raise ConfigError(f"{self._path}: not a {_SECRET}: {resources[0].type_name}")
        secret: View = resources[0].unpack()
        if secret.name != self.name:
            raise ConfigError(f"Unexpected SDS secret (expecting {self.name}): {secret.name}")
        return secret


def _refuse(problems: list[Problem]) -> None:
    if errors := [problem for problem in problems if problem.severity == "error"]:
        raise ConfigErrors(errors)


def secret_identity(view: View, ctx: Context) -> Source[Identity]:
    """view: SdsSecretConfig, as below."""

    def build(secret: View) -> IdentitySource:
        with secret.at("tls_certificate"):
            return build_identity(secret.tls_certificate, secret.name)

    return _find("tls_certificate", view, ctx, build)


def secret_trust(view: View, ctx: Context, default: Any = None) -> Source[Trust]:
    """default: the message that the secret is merged over (combined_validation_context)."""

    def build(secret: View) -> TrustSource:
        with secret.at("validation_context"):
            found = secret.validation_context
            if default is not None:
                merged = type(default)()
                merged.CopyFrom(default)
                merged.MergeFrom(found.take())
                found = View(merged)
            return build_trust(found, ctx, secret.name)

    return _find("validation_context", view, ctx, build, merged=default is not None)


def secret_ticket_keys(view: View, ctx: Context) -> Source[tuple[bytes, ...]]:
    return _find("session_ticket_keys", view, ctx, lambda secret: build_ticket_keys(secret.session_ticket_keys))


def _find(
    kind: str, view: View, ctx: Context, build: Callable[[View], Source[T]], merged: bool = False
) -> Source[T]:
    name = view.name
    if not view.sds_config:
        return build(ctx.secrets.find(kind, name))
    path, watched = _place(view.sds_config)
    if not ctx.node.id or not ctx.node.cluster:
        raise ConfigError(
            f"{_API_NAMES[kind]}: node 'id' and 'cluster' are required. Set it either in 'node' config or via"
            " --service-node and --service-cluster options."
        )
    if not os.path.exists(path):
        raise ConfigError(f"paths must refer to an existing path in the system: '{path}' does not exist")
    files: dict[tuple[str, str, str], FileSecret[T]] = ctx.secrets.files
    found = files.get((kind, name, path))
    if found is None or merged:
        # Over other defaults the same secret is another thing.
        found = FileSecret(name, path, watched, _checked(kind, build))
        files[kind, name, path] = found
        ctx.stats.add(f"sds.{name}", found.stats)
    return found


def _checked(kind: str, build: Callable[[View], Source[T]]) -> Callable[[View], Source[T]]:
    """The same, for a secret that has to be of that kind and has nothing in it that nobody reads."""

    def checked(secret: View) -> Source[T]:
        if secret.which("type") != kind:
            raise ConfigError(f"the secret '{secret.name}' is no {kind}")
        found = build(secret)
        _refuse(unread(secret))
        return found

    return checked


def _place(view: View) -> tuple[str, str]:
    """The file of a ConfigSource, and the directory that is watched in its place, or ""."""
    kind = view.which("config_source_specifier")
    view.ignore("initial_fetch_timeout", why="files are there or not")
    _ = view.resource_api_version  # there is only v3
    if kind == "path":
        return view.path, ""
    if kind != "path_config_source":
        view.reject(kind or "config_source_specifier", _NOT_YET)
    config = view.path_config_source
    config.ignore("poll_interval", why="files are watched")
    return config.path, config.watched_directory.path if config.watched_directory else ""


_API_NAMES = {
    "tls_certificate": "TlsCertificateSdsApi", "validation_context": "CertificateValidationContextSdsApi",
    "session_ticket_keys": "TlsSessionTicketKeysSdsApi",
}  # fmt: skip
