"""A certificate authority for one mesh: a root, and certificates whose only name is a SPIFFE ID (X509-SVID.md).

It is meant for laptops, tests and small meshes. Its key lies in a file; whoever reads that is everybody in the mesh.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Clocks of other machines may be late.
_BACKDATED = timedelta(minutes=2)
_PRIVATE_FORM = (
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
)  # fmt: skip


class AuthorityError(Exception):
    """Says in words why these files are no authority, or why it cannot issue what was asked for."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one workload needs, as PEM: its certificate, its key, and whom it trusts."""

    chain: bytes
    key: bytes
    root: bytes


class Authority:
    """certificate: the root; its URI SAN is `spiffe://<trust domain>`."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, trust_domain: str) -> None:
        self.certificate = certificate
        self.trust_domain = trust_domain
        self._key = key

    @classmethod
    def make(cls, trust_domain: str, days: int, now: datetime | None = None) -> "Authority":
        """A new one, valid for so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain[:64])])
        begin = (now or datetime.now(UTC)) - _BACKDATED
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = (
            _builder(name, name, key.public_key(), begin, begin + _BACKDATED + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(_names(f"spiffe://{trust_domain}"), critical=False)
        )
        return cls(builder.sign(key, hashes.SHA256()), key, trust_domain)

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> "Authority":
        """From PEM. Raises AuthorityError."""
        try:
            root = x509.load_pem_x509_certificate(certificate)
            private = serialization.load_pem_private_key(key, None)
        except (ValueError, TypeError) as error:
            raise AuthorityError(f"not readable as PEM: {error}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != root.public_key():
            raise AuthorityError("the key is not that of the certificate")
        return cls(root, private, _trust_domain_of(root))

    def key_pem(self) -> bytes:
        return self._key.private_bytes(*_PRIVATE_FORM)

    def root_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, spiffe_id: str, days: float, dns: Sequence[str] = (), addresses: Sequence[str] = (),
        now: datetime | None = None,
    ) -> Credentials:  # fmt: skip
        """A certificate for both ends of mutual TLS; it ends with the root at the latest. Raises AuthorityError.

        dns, addresses: further names, for peers that know nothing of SPIFFE.
        """
        moment = now or datetime.now(UTC)
        end = min(moment + timedelta(days=days), self.certificate.not_valid_after_utc)
        if end <= moment:
            raise AuthorityError(f"the root has expired at {self.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(x509.Name([]), self.certificate.subject, key.public_key(), moment - _BACKDATED, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True, key_encipherment=True), critical=True)
            .add_extension(purposes, critical=False)
            .add_extension(issuer, critical=False)
            # Without a subject the names are all there is (RFC 5280 §4.2.1.6).
            .add_extension(_names(spiffe_id, dns, addresses), critical=True)
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        chain = certificate.public_bytes(serialization.Encoding.PEM)
        return Credentials(chain, key.private_bytes(*_PRIVATE_FORM), self.root_pem())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _usage(**wanted: bool) -> x509.KeyUsage:
    none = dict.fromkeys(
        (
            "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
            "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
        ),
        False,
    )  # fmt: skip
    return x509.KeyUsage(**{**none, **wanted})


def _names(uri: str, dns: Sequence[str] = (), addresses: Sequence[str] = ()) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)]
    try:
        names += [x509.DNSName(name) for name in dns]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    except ValueError as error:
        raise AuthorityError(str(error)) from error
    return x509.SubjectAlternativeName(names)


def _trust_domain_of(root: x509.Certificate) -> str:
    try:
        names = root.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
        if uri.startswith("spiffe://"):
            return uri.removeprefix("spiffe://")
    raise AuthorityError("its certificate names no trust domain (a URI spiffe://... among its names)")
