"""Cipher suites and curves as Envoy (BoringSSL) names them, for OpenSSL."""

from meshproxy.config.errors import ConfigError

# Of TLS 1.2; those of TLS 1.3 are not configurable, in Envoy neither.
_KNOWN = frozenset({
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-PSK-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-PSK-AES128-CBC-SHA",
    "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA", "ECDHE-PSK-AES256-CBC-SHA", "ECDHE-RSA-AES128-SHA256",
    "AES128-GCM-SHA256", "AES128-SHA", "PSK-AES128-CBC-SHA", "AES256-GCM-SHA384", "AES256-SHA",
    "PSK-AES256-CBC-SHA", "DES-CBC3-SHA",
})  # fmt: skip
# Standard names that BoringSSL takes too.
_STANDARD = {
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256", "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}  # fmt: skip
# Keywords that mean the same to both.
_KEYWORDS = frozenset({"ALL", "HIGH", "FIPS", "SHA", "SHA1", "SHA256", "SHA384", "RSA", "ECDHE", "kEECDH", "ECDSA"})
_CURVES = {
    "X25519": "X25519", "P-256": "P-256", "P-384": "P-384", "P-521": "P-521", "prime256v1": "P-256",
    "secp384r1": "P-384", "secp521r1": "P-521",
}  # fmt: skip
# Which OpenSSL has from 3.5 on.
_HYBRID = frozenset({"X25519MLKEM768", "X25519Kyber768Draft00", "MLKEM1024"})


def openssl_ciphers(suites: "list[str]") -> str:
    """In order. `[A|B]` are equal to Envoy, and the client chooses; here the first is the better one."""
    found, unknown = [], []
    for entry in ":".join(suites).split(":"):
        for name in entry.strip("[]").split("|"):
            plain = name.lstrip("-!+")
            known = _STANDARD.get(plain, plain)
            if known not in _KNOWN and known not in _KEYWORDS:
                unknown.append(name)
            found.append(name[: len(name) - len(plain)] + known)
    if unknown:
        raise ConfigError(
            f"Failed to initialize cipher suites {':'.join(suites)}. The following ciphers were rejected when tried"
            f" individually: {', '.join(unknown)}"
        )
    return ":".join(found)


def openssl_curves(names: "list[str]") -> str:
    """Those that this OpenSSL has."""
    found = []
    for name in ":".join(names).split(":"):
        if name in _CURVES:
            found.append(_CURVES[name])
        elif name not in _HYBRID:
            raise ConfigError(f"Failed to initialize ECDH curves {':'.join(names)}")
    if not found:
        raise ConfigError(f"Failed to initialize ECDH curves {':'.join(names)}: this OpenSSL has none of them")
    return ":".join(found)
