"""Operators on TLS. There is no TLS yet, so none of them has a value on any connection."""

from meshproxy.observe.operators import Getter, nothing, operator, plain
from meshproxy.observe.time_format import compile_time

_BOTH = (
    "LOCAL_DNS_SAN", "LOCAL_IP_SAN", "LOCAL_URI_SAN", "PEER_CERT", "PEER_DNS_SAN", "PEER_IP_SAN", "PEER_ISSUER",
    "PEER_SUBJECT", "PEER_URI_SAN", "TLS_CIPHER", "TLS_GROUP", "TLS_SESSION_ID", "TLS_VERSION",
)  # fmt: skip
_DOWNSTREAM = (
    "HANDSHAKE_DURATION", "LOCAL_EMAIL_SAN", "LOCAL_OTHERNAME_SAN", "LOCAL_SUBJECT", "PEER_CHAIN_FINGERPRINTS_1",
    "PEER_CHAIN_FINGERPRINTS_256", "PEER_CHAIN_SERIALS", "PEER_EMAIL_SAN", "PEER_FINGERPRINT_1",
    "PEER_FINGERPRINT_256", "PEER_ISSUER_FINGERPRINT_256", "PEER_ISSUER_SERIAL", "PEER_OTHERNAME_SAN", "PEER_SERIAL",
)  # fmt: skip

for _name in _BOTH:
    plain(f"DOWNSTREAM_{_name}", nothing)
    plain(f"UPSTREAM_{_name}", nothing)
for _name in _DOWNSTREAM:
    plain(f"DOWNSTREAM_{_name}", nothing)
plain("UPSTREAM_SERVER_NAME", nothing)
plain("TLS_JA3_FINGERPRINT", nothing)
plain("TLS_JA4_FINGERPRINT", nothing)


@operator(
    "DOWNSTREAM_PEER_CERT_V_START", "DOWNSTREAM_PEER_CERT_V_END", "UPSTREAM_PEER_CERT_V_START",
    "UPSTREAM_PEER_CERT_V_END", argument="optional",
)  # fmt: skip
def certificate_time(argument: str, _length: int | None) -> Getter:
    compile_time(argument)
    return nothing
