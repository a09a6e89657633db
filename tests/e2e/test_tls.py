"""TLS of a whole proxy: certificates are rotated under its connections, and none of these leaves anything behind."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.ports import free
from tests.e2e.world import proxy, settled, transient
from tests.kit import pki

CONFIG = """
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates:
            - {{certificate_chain: {{filename: {folder}/tls.crt}}, private_key: {{filename: {folder}/tls.key}}}}
      filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, direct_response: {{status: 200}}}}]}}
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"""
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pki.write(tmp_path_factory.mktemp("pki"), ("ca", "server", "second"))


def put(source: Path, name: str, target: Path) -> None:
    """As `mv` does it: the key first, which for a moment does not fit."""
    for suffix, place in ((".key", "tls.key"), (".pem", "tls.crt")):
        shutil.copy(source / f"{name}{suffix}", target / "fresh")
        os.rename(target / "fresh", target / place)


def connect(port: int) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))


def ask(sock: ssl.SSLSocket) -> bytes:
    sock.sendall(REQUEST)
    return sock.recv(4096)[:15]


def der(folder: Path, name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert((folder / f"{name}.pem").read_text())


def test_rotation_in_all_workers_drops_nothing(folder: Path, tmp_path: Path) -> None:
    port = free([0])[0]
    put(folder, "server", tmp_path)
    config = tmp_path / "envoy.yaml"
    config.write_text(CONFIG.format(port=port, folder=tmp_path))
    command = [sys.executable, "-m", "meshproxy", "-c", str(config), "--concurrency", "2", "-l", "error"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 30
        while True:
            try:
                held = [connect(port) for _ in range(6)]
                break
            except ConnectionRefusedError:
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.05)
        for turn in range(6):
            name = ("second", "server")[turn % 2]
            put(folder, name, tmp_path)
            wanted = der(folder, name)
            met = 0
            # Until both workers are sure to have it: so many connections in a row.
            until = time.monotonic() + 10
            while met < 10:
                with connect(port) as sock:
                    met = met + 1 if sock.getpeercert(True) == wanted else 0
                    assert ask(sock) == b"HTTP/1.1 200 OK"
                assert time.monotonic() < until
            assert [ask(sock) for sock in held] == [b"HTTP/1.1 200 OK"] * len(held)
    finally:
        process.terminate()
        process.wait(10)


def test_nothing_is_left_of_a_connection(folder: Path, tmp_path: Path) -> None:
    put(folder, "server", tmp_path)
    asyncio.run(_leaves_nothing(tmp_path))


async def _leaves_nothing(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with proxy(CONFIG.format(port=0, folder=folder)) as (server, port):

        async def good() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(REQUEST)
            assert (await reader.read(4096)).startswith(b"HTTP/1.1 200")
            writer.close()

        async def bad(data: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            if data:
                await reader.read()
            writer.close()

        for _ in range(10):
            await good()
            await bad(b"GET / HTTP/1.1\r\n\r\n")
            await bad(b"\x16\3\1\0\5\1\0\0\1\0")
            await bad(b"")
        await settled(lambda: not transient(server), "connections stay")
        assert server.listeners[0].open == 0
