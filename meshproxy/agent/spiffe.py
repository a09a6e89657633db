"""SPIFFE IDs: `spiffe://<trust domain>/<path>` (SPIFFE-ID.md §2), and Istio's form of them, /ns/<ns>/sa/<account>."""

import re

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_SCHEME = "spiffe://"
_MAX_TRUST_DOMAIN = 255
_MAX_LENGTH = 2048


class BadIdentity(ValueError):
    """Says in words why something is no SPIFFE ID."""


def check_trust_domain(name: str) -> str:
    """The name, if it is one. Raises BadIdentity."""
    if len(name) > _MAX_TRUST_DOMAIN or not _TRUST_DOMAIN.fullmatch(name):
        raise BadIdentity(f"{name!r} is no trust domain: lower case letters, digits, '.', '-' and '_'")
    return name


def identity(text: str, trust_domain: str) -> str:
    """The SPIFFE ID that `text` means: one in full, or `<namespace>/<service account>` of the trust domain.

    Raises BadIdentity, also for an ID of another trust domain: nobody would believe a certificate for it.
    """
    if not text.startswith(_SCHEME):
        namespace, slash, account = text.partition("/")
        if not slash or "/" in account:
            raise BadIdentity(f"{text!r} is neither spiffe://{trust_domain}/... nor <namespace>/<service account>")
        text = f"{_SCHEME}{trust_domain}/ns/{namespace}/sa/{account}"
    domain, *segments = text.removeprefix(_SCHEME).split("/")
    if check_trust_domain(domain) != trust_domain:
        raise BadIdentity(f"{text} is not of the trust domain {trust_domain}")
    for segment in segments:
        if segment in (".", "..") or not _SEGMENT.fullmatch(segment):
            raise BadIdentity(f"{text!r} is no SPIFFE ID: a part of its path is {segment!r}")
    if not segments:
        raise BadIdentity(f"{text!r} names nobody: it has no path")
    if len(text) > _MAX_LENGTH:
        raise BadIdentity(f"{text[:60]}... is longer than {_MAX_LENGTH} bytes")
    return text


def short_name(spiffe_id: str) -> str:
    """The last part of its path: the service account, in Istio's form."""
    return spiffe_id.rpartition("/")[2]
