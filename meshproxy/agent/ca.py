"""`meshproxy ca`: certificates for a mesh in two lines.

    meshproxy ca init --dir certs                     once: the root that all trust
    meshproxy ca issue --dir certs default/reviews    for each workload: certs/reviews/{cert-chain,key,root-cert}.pem
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from meshproxy.agent.authority import Authority, AuthorityError
from meshproxy.agent.spiffe import BadIdentity, check_trust_domain, identity, short_name

# As Istio names them: of the authority (cacerts), and of a workload.
ROOT, CA_KEY = "root-cert.pem", "ca-key.pem"
CHAIN, KEY = "cert-chain.pem", "key.pem"


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 when it was done, 1 when not, 2 for arguments that are none."""
    given = _parser().parse_args(arguments)
    try:
        if given.verb == "init":
            init(given.dir, given.trust_domain, given.days)
        else:
            for name in given.identity:
                issue(given.dir, name, given.days, given.dns, given.ip)
    except (AuthorityError, BadIdentity) as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}")
    return 0


def init(folder: Path, trust_domain: str, days: int) -> None:
    """Makes an authority in `folder`; there must be none yet. Raises OSError, BadIdentity, AuthorityError."""
    root, key = folder / ROOT, folder / CA_KEY
    for path in (root, key):
        if path.exists():
            raise AuthorityError(f"{path} is there already: who trusts that root would not trust another")
    authority = Authority.make(check_trust_domain(trust_domain), days)
    folder.mkdir(parents=True, exist_ok=True)
    _write(key, authority.key_pem(), 0o600)
    _write(root, authority.root_pem(), 0o644)
    print(f"{root}: the root of {trust_domain}, until {authority.certificate.not_valid_after_utc:%Y-%m-%d}")


def issue(folder: Path, name: str, days: float, dns: Sequence[str] = (), addresses: Sequence[str] = ()) -> Path:
    """Certificate, key and root for one workload, in a folder of its own: that folder.

    What is there is replaced, the certificate last, each file in one step: a proxy that watches them takes new ones.
    Raises OSError, BadIdentity, AuthorityError.
    """
    try:
        authority = Authority.load((folder / ROOT).read_bytes(), (folder / CA_KEY).read_bytes())
    except FileNotFoundError as error:
        raise AuthorityError(f"{error.filename} is not there: meshproxy ca init --dir {folder} makes it") from error
    except AuthorityError as error:
        raise AuthorityError(f"{folder}: {error}") from error
    spiffe_id = identity(name, authority.trust_domain)
    credentials = authority.issue(spiffe_id, days, dns, addresses)
    target = folder / short_name(spiffe_id)
    target.mkdir(exist_ok=True)
    _write(target / ROOT, credentials.root, 0o644)
    _write(target / KEY, credentials.key, 0o600)
    _write(target / CHAIN, credentials.chain, 0o644)
    print(f"{target}: {spiffe_id}")
    return target


def _write(path: Path, data: bytes, mode: int) -> None:
    """Puts a whole file in the place of what was there; nobody but its owner ever sees a key."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    draft.replace(path)


def _failed(why: str) -> int:
    print(f"meshproxy ca: {why}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meshproxy ca", description="A small certificate authority for a mesh.", allow_abbrev=False
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="init|issue")
    init = verbs.add_parser("init", help="make the root that all workloads trust", allow_abbrev=False)
    init.add_argument("--trust-domain", default="cluster.local", metavar="NAME", help="default: cluster.local")
    init.add_argument("--days", type=_days, default=3650, metavar="N", help="how long it is valid (default: 3650)")
    issue = verbs.add_parser("issue", help="make a certificate and key for workloads", allow_abbrev=False)
    issue.add_argument("identity", nargs="+", help="<namespace>/<service account>, or spiffe://... in full")
    issue.add_argument("--days", type=_days, default=90, metavar="N", help="how long it is valid (default: 90)")
    issue.add_argument("--dns", action="append", default=[], metavar="NAME", help="a DNS name beside the SPIFFE ID")
    issue.add_argument("--ip", action="append", default=[], metavar="ADDRESS", help="an address beside it")
    for verb in (init, issue):
        verb.add_argument("--dir", type=Path, default=Path("certs"), help="where everything lies (default: certs)")
    return parser


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 36500):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 1 to 36500")
    return int(text)
