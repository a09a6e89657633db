"""A public key infrastructure for tests: authorities, certificates of every sort, and a list of what was revoked.

    folder = write(tmp_path)      # ca.pem, server.pem, server.key, client.pem, ..., ca.crl

A certificate that an intermediate authority has issued stands in its file with that authority's behind it.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

PASSWORD = "open sesame"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Wanted:
    """names: `DNS:`, `URI:`, `IP:`, `EMAIL:` or `OTHER:` in front. days: from and until, from now."""

    issuer: str = "ca"
    names: tuple[str, ...] = ()
    key: str = "ec"
    authority: bool = False
    days: tuple[int, int] = (-1, 30)
    subject: str = ""
    usages: tuple[str, ...] = ()
    # It says that its key is for signatures alone.
    signs: bool = False


STANDARD = {
    "ca": Wanted(issuer="ca", authority=True),
    "other-ca": Wanted(issuer="other-ca", authority=True),
    "intermediate": Wanted(authority=True),
    "server": Wanted(names=("DNS:example.com", "DNS:*.wild.example", "IP:127.0.0.1")),
    "server-rsa": Wanted(names=("DNS:example.com", "DNS:rsa.example"), key="rsa"),
    "second": Wanted(names=("DNS:second.example",)),
    "renewed": Wanted(names=("DNS:example.com",), days=(-1, 60)),
    "nameless": Wanted(subject="CN=nameless.example"),
    "client": Wanted(
        names=("URI:spiffe://mesh.example/ns/a/sa/b", "DNS:client.example", "EMAIL:c@client.example", "IP:10.0.0.7"),
        subject=r"CN=client,O=Mesh\; Inc,C=DE", signs=True,
    ),
    "other-name": Wanted(names=("OTHER:1.2.3.4.5:somebody",)),
    "two-names": Wanted(
        names=("URI:spiffe://mesh.example/x", "URI:spiffe://mesh.example/y", "DNS:a.example"), signs=True
    ),
    "odd-name": Wanted(names=("URI:spiffe://mesh.example/a,b;c=d", 'DNS:x"y'), subject=r'CN=a\"b\,c'),
    "deep": Wanted(issuer="intermediate", names=("DNS:deep.example",)),
    "foreign": Wanted(issuer="other-ca", names=("DNS:example.com", "URI:spiffe://mesh.example/ns/a/sa/b")),
    "elsewhere": Wanted(issuer="other-ca", names=("URI:spiffe://elsewhere.example/ns/x",), signs=True),
    "elsewhere-expired": Wanted(
        issuer="other-ca", names=("URI:spiffe://elsewhere.example/ns/x",), signs=True, days=(-10, -2)
    ),
    "self-signed": Wanted(issuer="self-signed", names=("DNS:example.com",)),
    "expired": Wanted(names=("DNS:example.com",), days=(-10, -2)),
    "early": Wanted(names=("DNS:example.com",), days=(2, 10)),
    "revoked": Wanted(names=("DNS:example.com",)),
    "for-servers": Wanted(names=("DNS:client.example",), usages=("serverAuth",)),
    "for-clients": Wanted(names=("DNS:example.com",), usages=("clientAuth",)),
}


def write(folder: Path, names: "tuple[str, ...] | None" = None) -> Path:
    """Writes all of STANDARD, or some of it (authorities have to be among them)."""
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, tuple[x509.Certificate, Key]] = {}
    for name, wanted in STANDARD.items():
        if names is not None and name not in names:
            continue
        key = _key(wanted.key)
        issuer, signer = made.get(wanted.issuer, (None, key))
        made[name] = certificate, _ = _issue(name, wanted, key, issuer, signer), key
        chain = _pem(certificate) + (_pem(made["intermediate"][0]) if wanted.issuer == "intermediate" else b"")
        (folder / f"{name}.pem").write_bytes(chain)
        (folder / f"{name}.key").write_bytes(_key_pem(key))
    if names is None:
        _write_more(folder, made)
    return folder


def _write_more(folder: Path, made: dict[str, tuple[x509.Certificate, Key]]) -> None:
    certificate, key = made["server"]
    encrypted = serialization.BestAvailableEncryption(PASSWORD.encode())
    (folder / "server.locked.key").write_bytes(_key_pem(key, encrypted))
    (folder / "server.p12").write_bytes(pkcs12.serialize_key_and_certificates(b"s", key, certificate, None, encrypted))
    (folder / "ca.crl").write_bytes(_revoke(made["ca"], made["revoked"][0]))
    (folder / "both-cas.pem").write_bytes(_pem(made["ca"][0]) + _pem(made["other-ca"][0]))
    for name in ("first", "second"):
        (folder / f"{name}.ticket").write_bytes(name.encode().ljust(80, b"."))


def _key(kind: str) -> Key:
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def _issue(
    name: str, wanted: Wanted, key: Key, issuer: x509.Certificate | None, signer: Key
) -> x509.Certificate:
    now = datetime.now(UTC).replace(microsecond=0)
    subject = x509.Name.from_rfc4514_string(wanted.subject) if wanted.subject else _common_name(name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=wanted.days[0]))
        .not_valid_after(now + timedelta(days=wanted.days[1]))
        .add_extension(x509.BasicConstraints(wanted.authority, None), critical=True)
    )
    if wanted.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_name, wanted.names))), critical=False)
    if wanted.usages:
        usages = [getattr(ExtendedKeyUsageOID, _USAGES[usage]) for usage in wanted.usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if wanted.signs:
        no = dict.fromkeys(_OTHER_USES, False)
        builder = builder.add_extension(x509.KeyUsage(digital_signature=True, **no), critical=True)
    return builder.sign(signer, hashes.SHA256())


_OTHER_USES = (
    "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
    "encipher_only", "decipher_only",
)  # fmt: skip
_USAGES = {"serverAuth": "SERVER_AUTH", "clientAuth": "CLIENT_AUTH"}


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name(text: str) -> x509.GeneralName:
    kind, _, value = text.partition(":")
    if kind == "IP":
        return x509.IPAddress(ipaddress.ip_address(value))
    if kind == "OTHER":
        number, _, value = value.partition(":")
        return x509.OtherName(ObjectIdentifier(number), bytes([0x0C, len(value)]) + value.encode())
    make = {"DNS": x509.DNSName, "URI": x509.UniformResourceIdentifier, "EMAIL": x509.RFC822Name}[kind]
    return make(value)


def _revoke(authority: tuple[x509.Certificate, Key], certificate: x509.Certificate) -> bytes:
    now = datetime.now(UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now).build()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority[0].subject)
        .last_update(now - timedelta(days=1))
        .next_update(now + timedelta(days=30))
        .add_revoked_certificate(entry)
    )
    return builder.sign(authority[1], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key, encryption: serialization.KeySerializationEncryption | None = None) -> bytes:
    encryption = encryption or serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
