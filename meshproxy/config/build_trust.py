"""envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext: which peers are trusted."""

import binascii
from base64 import b64decode
from dataclasses import dataclass, replace

from meshproxy.config.build_identity import directories_of, shown
from meshproxy.config.build_matchers import build_string_matcher
from meshproxy.config.context import Context
from meshproxy.config.data_source import DataSource, data_source
from meshproxy.config.errors import ConfigError, at
from meshproxy.config.view import View
from meshproxy.net.tls_verify import NameMatcher, Trust

_SPIFFE = "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
_UNSUPPORTED = {
    "ca_certificate_provider_instance": "certificate providers are not supported",
}
# The older match_subject_alt_names looks at names of these kinds.
_ALL_KINDS = ("DNS", "URI", "EMAIL", "IP_ADDRESS")
_SHOWN_KINDS = {"IP_ADDRESS": "IP"}


@dataclass(frozen=True, slots=True)
class TrustSource:
    """Where it is from: what is in files is read again and again, all else is in `trust`."""

    trust: Trust
    authorities: DataSource | None = None
    crl: DataSource | None = None
    domains: tuple[tuple[str, DataSource], ...] = ()
    watched: str = ""
    name: str = ""

    def read(self) -> Trust:
        """What is there now. Raises ConfigError in Envoy's words."""
        authorities = self._read("trusted_ca", self.authorities)
        crl = self._read("crl", self.crl)
        domains = []
        for i, (domain, source) in enumerate(self.domains):
            with at("custom_validator_config"), at("trust_domains", i):
                domains.append((domain, source.read()))
        if self.authorities is not None and b"-----BEGIN CERTIFICATE-----" not in authorities:
            raise ConfigError(f"Failed to load trusted CA certificates from {shown(self.authorities)}")
        if self.crl is not None and b"-----BEGIN X509 CRL-----" not in crl:
            raise ConfigError(f"Failed to load CRL from {shown(self.crl)}")
        return replace(
            self.trust, authorities=authorities, crl=crl, domains=tuple(domains), name=self.name,
            inline=_inline(self.authorities),
            source=shown(self.authorities) if self.authorities is not None else "<inline>",
        )  # fmt: skip

    def _read(self, field: str, source: DataSource | None) -> bytes:
        if source is None:
            return b""
        with at(field):
            return source.read()

    def directories(self) -> set[str]:
        return directories_of(self.watched, self.authorities, self.crl, *[source for _, source in self.domains])


def build_trust(view: View, ctx: Context, name: str = "") -> TrustSource:
    """name: of its secret, "" without one. Raises ConfigError in Envoy's words."""
    for field, why in _UNSUPPORTED.items():
        if getattr(view, field):
            view.reject(field, why)
    view.ignore("require_signed_certificate_timestamp", why="Envoy does not read it either")
    trust = Trust(
        system_roots=view.has("system_root_certs"),
        crl_of_leaf_only=view.only_verify_leaf_cert_crl,
        names=_build_names(view, ctx),
        hashes=frozenset(_hash(view, each) for each in view.verify_certificate_hash),
        spkis=frozenset(_spki(view, each) for each in view.verify_certificate_spki),
        allow_expired=view.allow_expired_certificate,
        allow_untrusted=view.enum("trust_chain_verification") == "ACCEPT_UNTRUSTED",
        depth=view.max_verify_depth if view.has("max_verify_depth") else None,
        name_authorities=not view.suppress_client_ca_list,
    )
    _ = view.system_root_certs.type_name  # it has no fields
    source = TrustSource(
        trust,
        _source(view, "trusted_ca"),
        _source(view, "crl"),
        _build_domains(view),
        view.watched_directory.path if view.watched_directory else "",
        name,
    )
    if source.authorities is None and not trust.system_roots and not view.custom_validator_config:
        _check_untrusting(source)
    return source


def _inline(source: DataSource | None) -> bytes:
    return source.inline if source is not None else b""


def _check_untrusting(source: TrustSource) -> None:
    if source.crl is not None:
        raise ConfigError(f"Failed to load CRL from {shown(source.crl)} without trusted CA")
    if source.trust.names:
        raise ConfigError("SAN-based verification of peer certificates without trusted CA is insecure and not allowed")
    if source.trust.allow_expired:
        raise ConfigError("Certificate validity period is always ignored without trusted CA")


def _source(view: View, field: str) -> DataSource | None:
    if not getattr(view, field):
        return None
    with view.at(field):
        return data_source(getattr(view, field))


def _build_names(view: View, ctx: Context) -> tuple[NameMatcher, ...]:
    found = []
    for i, each in enumerate(view.match_typed_subject_alt_names):
        with view.at("match_typed_subject_alt_names", i):
            kind = each.enum("san_type")
            if kind == "OTHER_NAME" and not each.oid:
                raise ConfigError("OTHER_NAME SAN type requires the oid of the names")
            if each.oid and not all(part.isdecimal() for part in each.oid.split(".")):
                each.reject("oid", f"unparseable oid: {each.oid}")
            with each.at("matcher"):
                found.append(_matcher(each.matcher, kind, ctx, each.oid))
    typed = bool(found)
    for i, each in enumerate(view.match_subject_alt_names):
        with view.at("match_subject_alt_names", i):
            matchers = [_matcher(each, kind, ctx) for kind in _ALL_KINDS]
        if not typed:
            found += matchers
    return tuple(found)


def _matcher(view: View, kind: str, ctx: Context, oid: str = "") -> NameMatcher:
    matches = build_string_matcher(view, ctx)
    how = view.which("match_pattern") or ""
    value = view.safe_regex.regex if how == "safe_regex" else getattr(view, how, "") if how != "custom" else ""
    text = f"{_SHOWN_KINDS.get(kind, kind)} {how} {value}"
    return NameMatcher(kind, text, matches, oid, value if how == "exact" else "")


def _hash(view: View, text: str) -> str:
    """Hexadecimal, with colons or without."""
    plain = text.replace(":", "").lower()
    try:
        if len(binascii.unhexlify(plain)) == 32:
            return plain
    except ValueError:
        pass
    raise ConfigError(f"Invalid hex-encoded SHA-256 {text}")


def _spki(view: View, text: str) -> str:
    try:
        if len(b64decode(text, validate=True)) == 32:
            return text
    except ValueError:
        pass
    raise ConfigError(f"Invalid base64-encoded SHA-256 {text}")


def _build_domains(view: View) -> tuple[tuple[str, DataSource], ...]:
    """The trust domains of `envoy.tls.cert_validator.spiffe`."""
    if not view.custom_validator_config:
        return ()
    custom = view.custom_validator_config
    with view.at("custom_validator_config"):
        name, kind = custom.name, custom.typed_config.type_name
        if kind != _SPIFFE:
            raise ConfigError(f"Failed to get certificate validator factory from {name or kind}")
        config = custom.typed_config.unpack()
        if config.trust_bundles:
            config.reject("trust_bundles", "bundles in one JSON document are not supported: give trust_domains")
        found: dict[str, DataSource] = {}
        for i, each in enumerate(config.trust_domains):
            with config.at("trust_domains", i):
                if each.name in found:
                    raise ConfigError(
                        f"Multiple trust bundles are given for one trust domain for {each.name}"
                    )
                if not each.trust_bundle:
                    raise ConfigError("a trust domain needs its trust_bundle")
                if each.workload_trust_domain:
                    each.reject("workload_trust_domain", "not supported")
                found[each.name] = data_source(each.trust_bundle)
    return tuple(found.items())
