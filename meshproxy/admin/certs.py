"""/certs: the certificates in use, of each TLS context (envoy.admin.v3.Certificates)."""

import time
from typing import TYPE_CHECKING, Any

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import Server

if TYPE_CHECKING:
    from meshproxy.net.certificate import Certificate
    from meshproxy.net.tls_live import LiveTls

# What the kinds of names are called there, in order; others are not shown.
_NAMES = {"DNS": "dns", "URI": "uri", "IP_ADDRESS": "ip_address"}
_DAY = 86400


@page("/certs", "print certs on machine")
def certs(server: Server, _request: Request) -> Answer:
    return Answer(dump({"certificates": [_context(live) for live in server.ctx.tls_files.all]}), content_type=JSON)


def _context(live: "LiveTls") -> dict[str, Any]:
    settings = live.settings
    if settings is None:
        return {"ca_cert": [], "cert_chain": []}
    from meshproxy.net.certificate import certificates_in

    trust = settings.trust
    return {
        "ca_cert": [_details(each, trust.source) for each in certificates_in(trust.authorities)[:1]],
        "cert_chain": [
            _details(each, identity.source)
            for identity in settings.identities
            for each in certificates_in(identity.chain)[:1]
        ],
    }


def _details(certificate: "Certificate", path: str) -> dict[str, Any]:
    names = [{name: value} for kind, name in _NAMES.items() for value in certificate.names(kind)]
    return {
        "path": path,
        "serial_number": certificate.serial,
        "subject_alt_names": names,
        "days_until_expiration": str(max(0, int((certificate.ends - time.time()) // _DAY))),
        "valid_from": f"{certificate.not_before:%Y-%m-%dT%H:%M:%SZ}",
        "expiration_time": f"{certificate.not_after:%Y-%m-%dT%H:%M:%SZ}",
    }
