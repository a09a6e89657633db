"""Whose network and whose files: entering a pod's network namespace, and hiding what only the host should use."""

import ctypes
import os
from collections.abc import Callable

from meshproxy.iptables.errors import SetupError

NAME_SERVICES = "/etc/nsswitch.conf"
NEW_MOUNTS, NEW_NETWORK = 0x00020000, 0x40000000
MS_RDONLY, MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 0x1, 0x1000, 0x4000, 1 << 18, 1 << 19


def enter_network(path: str) -> None:
    """Puts this process and all that it starts into the network namespace of a file. Raises SetupError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("setns", descriptor, NEW_NETWORK)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SetupError(
            f"--network-namespace {path}: {error.strerror}: give the file of a namespace, and run as root"
        ) from None


def hide_name_services(warn: Callable[[str], None]) -> None:
    """For a CNI plugin: in mounts of our own, names are looked up nowhere.

    iptables asks for the names of users and groups, which a host may answer over the very network that is being set up.
    """
    if not os.path.exists(NAME_SERVICES):
        return
    try:
        _call("unshare", NEW_MOUNTS)
        try:
            _mount(None, "/", MS_PRIVATE | MS_REC)
        except OSError:
            # Some hosts forbid private mounts; it is enough that ours do not reach the host.
            _mount(None, "/", MS_SLAVE | MS_REC)
        _mount("/dev/null", NAME_SERVICES, MS_BIND | MS_RDONLY)
    except OSError as error:
        warn(f"cannot hide {NAME_SERVICES}, names may be looked up: {error.strerror}")


def _mount(source: str | None, target: str, flags: int) -> None:
    _call("mount", source.encode() if source else None, target.encode(), None, ctypes.c_ulong(flags), None)


def _call(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
