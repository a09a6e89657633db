"""Listening sockets: the options they get, and why one cannot be had."""

import errno
import socket
from pathlib import Path

import pytest

from meshproxy.net.sockets import BindError, ListenAddress, ListenOptions, SocketOption, bind, start_listening

LOOPBACK = ("127.0.0.1", 0)


def listen(where: ListenAddress, options: ListenOptions) -> socket.socket:
    sock = bind(where, options)
    start_listening(sock, where, options)
    return sock


def test_bound_is_not_listening() -> None:
    with bind(ListenAddress(LOOPBACK), ListenOptions()) as sock, socket.socket() as client:
        assert client.connect_ex(sock.getsockname()) == errno.ECONNREFUSED
        start_listening(sock, ListenAddress(LOOPBACK), ListenOptions())
        client.connect(sock.getsockname())


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (ListenAddress(("127.0.0.1", 80)), "127.0.0.1:80"),
        (ListenAddress(("::1", 80)), "[::1]:80"),
        (ListenAddress(("/run/a.sock", 0), unix=True), "/run/a.sock"),
    ],
)
def test_addresses_as_text(where: ListenAddress, text: str) -> None:
    assert str(where) == text


def test_options_are_set() -> None:
    options = ListenOptions(reuse_port=True, freebind=True, fast_open=5)
    with listen(ListenAddress(LOOPBACK), options) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        assert sock.getsockopt(socket.IPPROTO_IP, 15)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert not sock.getblocking()


def test_reuse_port_lets_workers_share_an_address() -> None:
    options = ListenOptions(reuse_port=True)
    with listen(ListenAddress(LOOPBACK), options) as first:
        with listen(ListenAddress(first.getsockname()), options) as second:
            assert second.getsockname() == first.getsockname()
        with pytest.raises(BindError):
            listen(ListenAddress(first.getsockname()), ListenOptions())


def test_options_by_number_and_an_address_that_has_its_own() -> None:
    keepalive = SocketOption(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1, "listening")
    options = ListenOptions(options=[keepalive])
    with listen(ListenAddress(LOOPBACK), options) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    with listen(ListenAddress(LOOPBACK, options=[]), options) as sock:
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_six_and_four_are_apart_unless_compatible() -> None:
    with listen(ListenAddress(("::", 0)), ListenOptions()) as sock:
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    with listen(ListenAddress(("::", 0), ipv4_compat=True), ListenOptions()) as sock:
        assert not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_an_option_the_kernel_refuses_is_one_line() -> None:
    options = ListenOptions(options=[SocketOption(socket.SOL_SOCKET, 9999, 1)])
    with pytest.raises(BindError, match=r"^cannot set socket options on '127\.0\.0\.1:0': Protocol"):
        listen(ListenAddress(LOOPBACK), options)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a.sock"
    with pytest.raises(BindError) as caught:
        listen(ListenAddress((str(path), 0), unix=True), ListenOptions())
    assert str(caught.value) == f"cannot bind '{path}': No such file or directory"
