"""Connections in a pod with rules: which arrive at the proxy's port, and what they were meant for."""

import sys

import pytest

from .pod import Pod

# Connects as a user and a group, and prints what the listener on a port hears of it: nothing, or the destination.
PROBE = """
import os, socket, struct, sys
port, uid, gid, host, to = sys.argv[1:]
v6 = ":" in host
family, level, size = (socket.AF_INET6, socket.IPPROTO_IPV6, 28) if v6 else (socket.AF_INET, socket.IPPROTO_IP, 16)
own = ("::1" if v6 else "127.0.0.1", int(port))
listener = socket.create_server(own, family=family)
os.setegid(int(gid))
os.seteuid(int(uid))
client = socket.socket(family)
client.setblocking(False)
client.connect_ex((host, int(to)))
# When a second connection has come all the way, the first has too, if it comes here at all.
second = socket.socket(family)
second.connect(own)
connection, peer = listener.accept()
if peer == second.getsockname():
    print("not captured")
else:
    meant = connection.getsockopt(level, 80, size)
    address = meant[8:24] if v6 else meant[4:8]
    print(socket.inet_ntop(family, address), struct.unpack_from("!H", meant, 2)[0])
"""


@pytest.fixture
def wide(pod6: Pod) -> Pod:
    """A pod with an interface behind which there is nobody."""
    pod6.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "nobody")
    for end in ("eth0", "nobody"):
        pod6.run("ip", "link", "set", end, "up")
    for address in ("10.8.0.1/16", "fd08::1/64"):
        pod6.run("ip", "address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
    return pod6


@pytest.mark.parametrize("kind", [(), ("--force-iptables-binary", "legacy"), ("--native-nftables",)])
def test_outbound(wide: Pod, kind: tuple[str, ...]) -> None:
    flags = ("-u", "1337", "-g", "1337", "-i", "10.8.0.0/16,fd08::/64", "-x", "10.8.9.0/24", "-o", "25", "--dual-stack")
    wide.apply(*flags, *kind, ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE="77")

    def sent(uid: int, gid: int, host: str, port: int) -> str:
        return wide.run(sys.executable, "-c", PROBE, "15001", str(uid), str(gid), host, str(port)).strip()

    assert sent(1000, 1000, "10.8.0.9", 80) == "10.8.0.9 80"
    assert sent(1000, 1000, "fd08::9", 80) == "fd08::9 80"
    for uid, gid, host, port in (
        (1337, 1000, "10.8.0.9", 80),
        (1000, 1337, "10.8.0.9", 80),
        (1000, 77, "10.8.0.9", 80),
        (1000, 1000, "10.8.9.9", 80),
        (1000, 1000, "10.8.0.9", 25),
        (1337, 1000, "fd08::9", 80),
    ):
        assert sent(uid, gid, host, port) == "not captured"


@pytest.mark.parametrize("kind", [(), ("--native-nftables",)])
def test_the_proxy_to_its_own_pod(wide: Pod, kind: tuple[str, ...]) -> None:
    wide.apply("-u", "1337", "-b", "*", "-i", "*", *kind)
    own = [sys.executable, "-c", PROBE, "15006", "1337", "1337"]
    assert wide.run(*own, "10.8.0.1", "80") == "10.8.0.1 80\n"
    assert wide.run(*own, "127.0.0.1", "80") == "not captured\n"
    assert wide.run(*own, "10.8.0.1", "15008") == "not captured\n"
