"""The version as Envoy prints its own: `<revision>/<version>/<status>/<build>/<tls library>`."""

import ssl
from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    try:
        return version("meshproxy")
    except PackageNotFoundError:
        return "0.0.0"


def version_line() -> str:
    """For /server_info."""
    return f"meshproxy/{package_version()}/Clean/RELEASE/{ssl.OPENSSL_VERSION.partition(' ')[0]}"


def version_text() -> str:
    """For --version."""
    return f"meshproxy  version: {version_line()}"


def version_number() -> int:
    """For the gauge server.version: 1.2.3 is 0x010203."""
    number = 0
    for part in [*package_version().split("."), "0", "0"][:3]:
        number = number << 8 | (int(part) if part.isascii() and part.isdigit() else 0)
    return number
