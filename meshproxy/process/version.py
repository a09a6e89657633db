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
