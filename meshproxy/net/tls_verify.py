"""Whether a peer's certificate is trusted: authorities, names, hashes (Envoy's default certificate validator).

It runs inside the handshake, so that a peer that is not trusted hears it by an alert and nothing passes before.
"""

import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from meshproxy.net.certificate import AltName, Certificate, certificate, certificates_in
from meshproxy.net.openssl import Store, TlsContext, verify_words
from meshproxy.net.tls_memory import in_memory

_log = logging.getLogger("connection")

# OpenSSL answers what it has no better alert for by certificate_unknown, as Envoy does; this is such a reason.
_UNKNOWN = 49
# Of revocation: no list, one that is too old or too new, revoked, nobody to ask for the list.
_REVOCATION = frozenset({3, 11, 12, 23, 33})
_EXPIRED, _NOT_YET_VALID, _NO_ISSUER = 10, 9, 20
_NO_CHECK_TIME = 0x200000
_PARTIAL_CHAIN = ssl.VERIFY_X509_PARTIAL_CHAIN
# Where BoringSSL has other words than OpenSSL.
_WORDS = {
    18: "self signed certificate", 19: "self signed certificate in certificate chain",
    22: "unable to get local issuer certificate", 24: "invalid CA certificate", 26: "unsupported certificate purpose",
    79: "invalid CA certificate",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NameMatcher:
    """One of match_typed_subject_alt_names. text: the same in words; two with the same words are the same."""

    kind: str
    text: str
    matches: Callable[[str], bool] = field(compare=False)
    oid: str = ""
    # A plain name, for which a certificate's `*.` stands for one label.
    exact: str = ""

    def fits(self, name: AltName) -> bool:
        if name.kind != self.kind or (self.oid and name.oid != self.oid):
            return False
        return self.matches(name.value) or (self.kind == "DNS" and bool(self.exact) and covers(name.value, self.exact))


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's DNS name is for `name`, as Envoy's Utility::dnsNameMatch has it."""
    pattern, name = pattern.lower(), name.lower()
    if pattern == name:
        return True
    if not pattern.startswith("*."):
        return False
    label, dot, rest = name.partition(".")
    return bool(label and dot) and rest == pattern[2:]


@dataclass(frozen=True, slots=True)
class Trust:
    """A CertificateValidationContext as values. authorities, crl: PEM. hashes: lower-case hex of whole certificates.

    spkis: base64 of SHA-256 of public keys. depth: of chains, None for OpenSSL's own.
    """

    authorities: bytes = b""
    system_roots: bool = False
    crl: bytes = b""
    crl_of_leaf_only: bool = False
    names: tuple[NameMatcher, ...] = ()
    hashes: frozenset[str] = frozenset()
    spkis: frozenset[str] = frozenset()
    allow_expired: bool = False
    allow_untrusted: bool = False
    depth: int | None = None
    name_authorities: bool = True
    # Authorities by trust domain (envoy.tls.cert_validator.spiffe).
    domains: tuple[tuple[str, bytes], ...] = ()
    # Of its secret, for stats, and the authorities that stand in the configuration.
    name: str = ""
    inline: bytes = b""
    # Where the authorities are from, for words.
    source: str = "<inline>"

    @property
    def has_authorities(self) -> bool:
        return bool(self.authorities) or self.system_roots or bool(self.domains)

    @property
    def checks(self) -> bool:
        """Whether there is anything that a certificate could fail by."""
        return self.has_authorities or bool(self.names or self.hashes or self.spkis)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a verification. trusted: the handshake goes on. reason: why not, in Envoy's words.

    cause: what else helps whoever has to find it out.
    """

    trusted: bool
    validated: bool
    reason: str = ""
    cause: str = ""
    # Which counter of TlsStats counts it.
    counter: str = ""
    # What the peer sent, as DER, its own certificate first; and who has issued that, where it is trusted.
    chain: tuple[bytes, ...] = ()
    issuer: bytes = b""


class Judge:
    """The verifier of a context. Whoever shakes hands sets `expected` before, and finds the `verdict` behind.

    expected: names of which the certificate has to have one, beside what the configuration asks for.
    """

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self.expected: tuple[str, ...] = ()
        # It is what SNI says.
        self.expected_of_sni = False
        self.verdict: Verdict | None = None

    def __call__(self, store: Store) -> bool:
        try:
            verdict = self.judge(store)
        except Exception:
            _log.exception("a certificate could not be verified")
            verdict = Verdict(False, False, "internal error", counter="fail_verify_error")
        if self.trust.allow_untrusted and not verdict.trusted:
            verdict = Verdict(True, False, counter=verdict.counter)
        self.verdict = replace(verdict, chain=tuple(store.chain))
        if not verdict.trusted and not store.error:
            store.error = _UNKNOWN
        return verdict.trusted

    def judge(self, store: Store) -> Verdict:
        """As Envoy's DefaultCertValidator: the chain first, then names, then hashes."""
        trust = self.trust
        if trust.has_authorities and not store.verify():
            return untrusted(store)
        leaf = certificate(store.leaf)
        verdict = self.judge_names(leaf)
        if verdict is not None:
            return verdict
        hashed = bool(trust.hashes or trust.spkis)
        if hashed and leaf.sha256 not in trust.hashes and leaf.spki not in trust.spkis:
            cause = f"its hash is {leaf.sha256}"
            return Verdict(False, False, "cert hash and spki", cause, "fail_verify_cert_hash")
        return Verdict(True, trust.checks or bool(self.expected), issuer=store.issuer)

    def judge_again(self, peer: Certificate | None) -> Verdict | None:
        """Of a session that is resumed: None unless the peer's certificate has ended since it was looked at."""
        if peer is None or not self.trust.has_authorities or self.trust.allow_expired or self.trust.allow_untrusted:
            return None
        if peer.ends >= time.time():
            return None
        words = "X509_verify_cert: certificate verification error at depth 0: certificate has expired"
        cause = f"{peer.subject} expired at {peer.not_after:%Y-%m-%dT%H:%M:%SZ}"
        return Verdict(False, False, words, cause, "fail_verify_error", (peer.der,))

    def judge_names(self, leaf: Certificate) -> Verdict | None:
        """None where the certificate has the names that it should have."""
        names = leaf.alt_names
        shown = ", ".join(name.value for name in names)
        if self.expected and not any(_answers_to(name, wanted) for name in names for wanted in self.expected):
            wanted = ", ".join(self.expected)
            words = f"verify SAN list, expected SANs: [{wanted}], certificate SANs: [{shown}]"
            if self.expected_of_sni:
                words = f"SAN matcher, certificate SANs are [{shown}]"
            return Verdict(False, False, words, f"expected {wanted}", "fail_verify_san")
        matchers = self.trust.names
        if matchers and not any(matcher.fits(name) for matcher in matchers for name in names):
            cause = f"expected {', '.join(matcher.text for matcher in matchers)}"
            return Verdict(False, False, f"SAN matcher, certificate SANs are [{shown}]", cause, "fail_verify_san")
        return None


def untrusted(store: Store) -> Verdict:
    """Why the chain leads to nobody who is trusted."""
    code = store.error
    words = _WORDS.get(code) or verify_words(code)
    if code in _REVOCATION:
        words = f"certificate revocation check against provided CRLs failed: {words}"
    words = f"certificate verification error at depth {store.depth}: {words}"
    return Verdict(False, False, f"X509_verify_cert: {words}", _cause(code, store), "fail_verify_error")


def _cause(code: int, store: Store) -> str:
    culprit = certificate(store.culprit)
    if code == _EXPIRED:
        return f"{culprit.subject} expired at {culprit.not_after:%Y-%m-%dT%H:%M:%SZ}"
    if code == _NOT_YET_VALID:
        return f"{culprit.subject} is valid from {culprit.not_before:%Y-%m-%dT%H:%M:%SZ}"
    if code == _NO_ISSUER:
        return f"{culprit.subject} is issued by {culprit.issuer}, who is not trusted"
    return f"the certificate is {culprit.subject}, serial {culprit.serial}"


def _answers_to(name: AltName, wanted: str) -> bool:
    if name.kind == "DNS":
        return covers(name.value, wanted)
    return name.kind in ("URI", "IP_ADDRESS") and name.value == wanted


class SpiffeJudge(Judge):
    """envoy.tls.cert_validator.spiffe: each trust domain has authorities of its own."""

    def __init__(self, trust: Trust) -> None:
        super().__init__(trust)
        self._domains: dict[str, TlsContext] = {}
        for domain, authorities in trust.domains:
            context = self._domains[domain] = TlsContext(ssl.PROTOCOL_TLS_SERVER)
            _load_authorities(context, replace(trust, authorities=authorities, domains=()))

    def judge(self, store: Store) -> Verdict:
        leaf = certificate(store.leaf)
        if leaf.is_authority or not leaf.only_identifies:
            cause = "it has to say by its key usage that it is no authority's"
            return Verdict(False, False, "cert precheck", cause, "fail_verify_error")
        context = self._find(leaf)
        if context is None:
            shown = ", ".join(leaf.names("URI")) or "none"
            cause = f"its SPIFFE identity is {shown}; trusted are {', '.join(self._domains)}"
            return Verdict(False, False, "no trust bundle store", cause, "fail_verify_error")
        if not store.verify_by(context):
            return untrusted(store)
        verdict = self.judge_names(leaf)
        if verdict is not None:
            return replace(verdict, reason="SAN match", cause=f"{verdict.reason}; {verdict.cause}")
        return Verdict(True, True)

    def _find(self, leaf: Certificate) -> TlsContext | None:
        for uri in leaf.names("URI"):
            scheme, _, rest = uri.partition("://")
            if scheme == "spiffe" and rest.partition("/")[0] in self._domains:
                return self._domains[rest.partition("/")[0]]
        return None


def set_trust(context: TlsContext, trust: Trust) -> None:
    """Has a context verify peers by `trust`. Raises ValueError in Envoy's words."""
    if trust.authorities or trust.system_roots:
        _load_authorities(context, trust)
    if trust.depth is not None:
        context.set_verify_depth(trust.depth)
    judge = SpiffeJudge(trust) if trust.domains else Judge(trust)
    context.judge = judge
    context.set_verifier(judge)


def _load_authorities(context: TlsContext, trust: Trust) -> None:
    if trust.system_roots:
        context.load_default_certs()
    flags = context.verify_flags | _PARTIAL_CHAIN
    if trust.allow_expired:
        flags |= _NO_CHECK_TIME
    for what, pem in (("trusted CA certificates", trust.authorities), ("CRL", trust.crl)):
        if not pem:
            continue
        with in_memory(pem) as path:
            try:
                context.load_verify_locations(path)
            except ssl.SSLError:
                raise ValueError(f"Failed to load {what} from <inline>") from None
        if b"-----BEGIN X509 CRL-----" in pem:
            flags |= ssl.VERIFY_CRL_CHECK_LEAF if trust.crl_of_leaf_only else ssl.VERIFY_CRL_CHECK_CHAIN
    context.verify_flags = ssl.VerifyFlags(flags)
    if trust.name_authorities:
        for each in certificates_in(trust.authorities):
            context.name_authority(each.der)
