"""The version as Envoy prints its own: `<revision>/<version>/<status>/<build>/<tls library>`."""

import ssl

from meshproxy import __version__


def version_line() -> str:
    """For /server_info."""
    return f"meshproxy/{__version__}/Clean/RELEASE/{ssl.OPENSSL_VERSION.partition(' ')[0]}"


def version_text() -> str:
    """For --version."""
    return f"meshproxy  version: {version_line()}"


def version_number() -> int:
    """For the gauge server.version: 1.2.3 is 0x010203."""
    number = 0
    for part in __version__.split("."):
        number = number << 8 | int(part)
    return number
