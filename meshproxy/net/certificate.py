"""What a certificate says, in the words of Envoy's logs and matchers (RFC 5280)."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# What stands in front of the values of a name: OpenSSL's short names, by number.
_SHORT_NAMES = {
    "2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description",
    "2.5.4.15": "businessCategory", "2.5.4.17": "postalCode", "2.5.4.42": "GN", "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym",
    "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
}  # fmt: skip
_ESCAPED = frozenset(',+"\\<>;')
_IPS = (IPv4Address, IPv6Address)


@dataclass(frozen=True, slots=True)
class AltName:
    """One subject alternative name. kind: DNS, URI, EMAIL, IP_ADDRESS or OTHER_NAME, of which `oid` says which."""

    kind: str
    value: str
    oid: str = ""


class Certificate:
    """Parsed once; texts are made when somebody asks."""

    def __init__(self, der: bytes) -> None:
        """Raises ValueError."""
        self.der = der
        self._parsed = x509.load_der_x509_certificate(der)

    @cached_property
    def subject(self) -> str:
        """As RFC 2253 writes it: the last part first."""
        return name_text(self._parsed.subject)

    @cached_property
    def issuer(self) -> str:
        return name_text(self._parsed.issuer)

    @cached_property
    def common_name(self) -> str:
        found = self._parsed.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return str(found[0].value) if found else ""

    @cached_property
    def serial(self) -> str:
        """Hexadecimal, of whole bytes."""
        text = f"{self._parsed.serial_number:x}"
        return text if len(text) % 2 == 0 else "0" + text

    @property
    def not_before(self) -> datetime:
        return self._parsed.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        return self._parsed.not_valid_after_utc

    @cached_property
    def starts(self) -> float:
        """Seconds since the epoch."""
        return self.not_before.timestamp()

    @cached_property
    def ends(self) -> float:
        return self.not_after.timestamp()

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def sha1(self) -> str:
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest()

    @cached_property
    def spki(self) -> str:
        """The hash of its public key, as `verify_certificate_spki` has it."""
        key = self._parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(hashlib.sha256(key).digest()).decode()

    @cached_property
    def pem(self) -> str:
        return self._parsed.public_bytes(Encoding.PEM).decode()

    @cached_property
    def quoted_pem(self) -> str:
        """The PEM as x-forwarded-client-cert carries it."""
        return quote(self.pem, safe="")

    @cached_property
    def alt_names(self) -> tuple[AltName, ...]:
        """In the order of the certificate."""
        try:
            names = self._parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, ValueError):
            return ()
        return tuple(found for found in map(_alt_name, names) if found is not None)

    def names(self, kind: str) -> tuple[str, ...]:
        return tuple(name.value for name in self.alt_names if name.kind == kind)

    @cached_property
    def identity(self) -> str:
        """Who it is for, in a word: a URI (SPIFFE's), else a DNS name, else the subject."""
        return next(iter((*self.names("URI"), *self.names("DNS"))), self.subject)

    @cached_property
    def kind(self) -> str:
        """Of its key: `RSAPublicKey`, `EllipticCurvePublicKey`, ..."""
        name = type(self._parsed.public_key()).__name__
        return {"_EllipticCurvePublicKey": "ECPublicKey", "_RSAPublicKey": "RSAPublicKey"}.get(name, name)

    @cached_property
    def usual_signature(self) -> str:
        """The algorithm that its key is usually used with, as TLS calls it, or ""."""
        key = self._parsed.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            return "rsa_pss_rsae_sha256"
        if isinstance(key, ec.EllipticCurvePublicKey):
            bits = {256: 256, 384: 384, 521: 512}.get(key.key_size)
            return f"ecdsa_{key.curve.name}_sha{bits}" if bits else ""
        return ""

    @cached_property
    def signs(self) -> bool:
        """Whether its key may sign handshakes, as far as the certificate says what it is for."""
        try:
            return bool(self._parsed.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature)
        except (x509.ExtensionNotFound, ValueError):
            return True

    @cached_property
    def only_identifies(self) -> bool:
        """It says what its key is for, and that is not to sign certificates or lists of revoked ones."""
        try:
            usage = self._parsed.extensions.get_extension_for_class(x509.KeyUsage).value
        except (x509.ExtensionNotFound, ValueError):
            return False
        return not usage.key_cert_sign and not usage.crl_sign

    @cached_property
    def is_authority(self) -> bool:
        try:
            return bool(self._parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        except (x509.ExtensionNotFound, ValueError):
            return False


@lru_cache(1024)
def certificate(der: bytes) -> Certificate:
    """Peers come again with the same certificate: it is parsed once. Raises ValueError."""
    return Certificate(der)


def certificates_in(pem: bytes) -> list[Certificate]:
    """All of a PEM file, whatever else is in it. Raises ValueError."""
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        return []
    return [Certificate(found.public_bytes(Encoding.DER)) for found in x509.load_pem_x509_certificates(pem)]


def name_text(name: x509.Name) -> str:
    parts = []
    for together in reversed(list(name.rdns)):
        parts.append("+".join(f"{_type_name(each)}={_escape(_text(each.value))}" for each in together))
    return ",".join(parts)


def _type_name(attribute: "x509.NameAttribute[str | bytes]") -> str:
    number = attribute.oid.dotted_string
    return _SHORT_NAMES.get(number, number)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else "#" + value.hex().upper()


def _escape(value: str) -> str:
    """What would end the value, and what is not printable ASCII, as RFC 2253 says and OpenSSL does it."""
    out = []
    last = len(value) - 1
    for i, character in enumerate(value):
        if character in _ESCAPED or (i == 0 and character in "# ") or (i == last and character == " "):
            out.append("\\" + character)
        elif " " <= character <= "~":
            out.append(character)
        else:
            out += [f"\\{byte:02X}" for byte in character.encode("utf-8", "replace")]
    return "".join(out)


def _alt_name(name: x509.GeneralName) -> AltName | None:
    value = name.value
    if isinstance(name, x509.DNSName):
        return AltName("DNS", printable(str(value)))
    if isinstance(name, x509.UniformResourceIdentifier):
        return AltName("URI", printable(str(value)))
    if isinstance(name, x509.RFC822Name):
        return AltName("EMAIL", printable(str(value)))
    if isinstance(name, x509.IPAddress) and isinstance(value, _IPS):
        return AltName("IP_ADDRESS", str(value))
    if isinstance(name, x509.OtherName):
        return AltName("OTHER_NAME", printable(_string_in(name.value)), name.type_id.dotted_string)
    return None


def _string_in(der: bytes) -> str:
    """The text of a DER string, whatever its kind; "" for what is no string."""
    if len(der) < 2 or der[1] >= 0x80 or len(der) != der[1] + 2:
        return ""
    return der[2:].decode("utf-8", "replace")


def printable(text: str) -> str:
    """Names come from peers: nothing in them ends a line of a log or begins a header."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" else "".join(f"\\x{byte:02x}" for byte in c.encode()) for c in text)
