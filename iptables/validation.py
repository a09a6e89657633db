"""Do the rules work? A connection to an address of loopback must arrive where the rules send it.

Listens on the two capture ports and connects to 127.0.0.6 (::6), where nobody listens: only rules can make it arrive,
and the kernel tells the port that was meant. Where a CNI plugin makes the rules, this is all that runs in the pod.
"""

import os
import selectors
import socket
import struct
import time

from meshproxy.iptables.addresses import split
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.log import Log
from meshproxy.iptables.options import Config

ORIGINAL_DST = 80
# sockaddr_in and sockaddr_in6 begin with the family and the port.
ADDRESS_SIZE = {socket.AF_INET: (socket.IPPROTO_IP, 16), socket.AF_INET6: (socket.IPPROTO_IPV6, 28)}
EXIT_STATUS = 126


class ValidationError(SetupError):
    """Captured traffic does not arrive. The exit status is 126: the CNI plugin's repair looks for it."""


def validate(config: Config, log: Log) -> None:
    """Raises ValidationError when no connection has arrived after ``config.probe_timeout``."""
    family = socket.AF_INET6 if config.host_is_v6 else socket.AF_INET
    source, target = ("::1", "::6") if config.host_is_v6 else ("127.0.0.1", "127.0.0.6")
    owner = _proxy_uid(config)
    listeners = _listen(family, source, [int(config.proxy_port), int(config.inbound_capture_port)], log)
    try:
        if not _arrives(family, listeners, (source, 0), (target, config.probe_port), config.probe_timeout, owner):
            raise ValidationError(
                "iptables validation failed; workload is not ready for Istio: no connection to "
                f"{target}:{config.probe_port} arrived at port {config.proxy_port} or {config.inbound_capture_port} "
                f"within {config.probe_timeout:g} s; are the rules applied, and is this the proxy's user?"
            )
    finally:
        for listener in listeners:
            listener.close()
    log.info("validation passed: captured connections arrive")


def _listen(family: int, address: str, ports: list[int], log: Log) -> list[socket.socket]:
    listeners = []
    for port in ports:
        listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            listener.bind((address, port))
            listener.listen()
        except OSError as error:
            log.warn(f"validation cannot listen on {address} port {port}: {error.strerror}")
            listener.close()
            continue
        listeners.append(listener)
    if not listeners:
        raise ValidationError(
            f"iptables validation failed: ports {' and '.join(map(str, ports))} of {address} are in use"
        )
    return listeners


def _arrives(
    family: int,
    listeners: list[socket.socket],
    source: tuple[str, int],
    target: tuple[str, int],
    seconds: float,
    owner: int,
) -> bool:
    """Connects once a second until a connection arrives that was meant for ``target``'s port."""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            selector.register(listener, selectors.EVENT_READ)
        while (now := time.monotonic()) < deadline:
            until = min(now + 1, deadline)
            with _connect(family, source, target, owner):
                while (left := until - time.monotonic()) > 0:
                    for key, _ in selector.select(left):
                        assert isinstance(key.fileobj, socket.socket)
                        if _meant_port(family, key.fileobj) == target[1]:
                            return True
    return False


def _proxy_uid(config: Config) -> int:
    """The first that is a number; ours if none is."""
    return next((int(uid) for uid in split(config.proxy_uid) if uid.isdigit()), os.geteuid())


def _connect(family: int, source: tuple[str, int], target: tuple[str, int], owner: int) -> socket.socket:
    """As the proxy's user if we may: what others send to loopback is not captured."""
    ours = os.geteuid()
    try:
        os.seteuid(owner)
    except PermissionError:
        # Neither root nor with the capability SETUID: then it is our own user that counts.
        pass
    try:
        client = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    finally:
        os.seteuid(ours)
    client.bind(source)
    # The outcome does not matter: without rules it is a refusal, with them the listener hears of it.
    client.connect_ex(target)
    return client


def _meant_port(family: int, listener: socket.socket) -> int:
    """The port that the next waiting connection was meant for; 0 if it does not say."""
    level, size = ADDRESS_SIZE[socket.AddressFamily(family)]
    try:
        connection, _ = listener.accept()
    except OSError:
        # It has gone away again.
        return 0
    with connection:
        try:
            address = connection.getsockopt(level, ORIGINAL_DST, size)
        except OSError:
            # It was not captured: somebody who connected to the port itself.
            return 0
    (port,) = struct.unpack_from("!H", address, 2)
    assert isinstance(port, int)
    return port
