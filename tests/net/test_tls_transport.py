"""TLS between two transports, over bytes that come in any pieces."""

import asyncio
import random
import ssl
from pathlib import Path
from typing import Any

import pytest

from meshproxy.net.tls_context import ServerContexts, make_client_context
from meshproxy.net.tls_settings import Identity, TlsSettings
from meshproxy.net.tls_transport import TlsTransport
from meshproxy.net.tls_verify import Trust
from tests.kit import pki


class Pipe:
    """A socket's transport: what is written waits until the test carries it over."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Inner(asyncio.Protocol):
    """What is inside: it keeps what it gets."""

    def __init__(self, early: bytes = b"") -> None:
        self.early = early
        self.transport: Any = None
        self.got = bytearray()
        self.ended = False
        self.lost = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.early:
            transport.write(self.early)

    def data_received(self, data: bytes) -> None:
        self.got += data

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True


class Side(TlsTransport):
    """Notes how the handshake ended."""

    __slots__ = ("done", "failure", "pipe")

    def __init__(
        self, context: Any, inner: Inner, *, server: bool, name: str | None = None, session: Any = None
    ) -> None:
        super().__init__(context, inner, name, session, server=server)
        self.done = False
        self.failure: Exception | None = None
        self.pipe = Pipe()

    def established(self) -> None:
        self.done = True

    def failed(self, error: Exception | None) -> None:
        self.failure = error


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pki.write(tmp_path_factory.mktemp("pki"))


def identity(folder: Path, name: str) -> Identity:
    return Identity((folder / f"{name}.pem").read_bytes(), (folder / f"{name}.key").read_bytes())


def server_settings(folder: Path, authority: str | None = None) -> TlsSettings:
    trust = Trust(authorities=(folder / f"{authority}.pem").read_bytes()) if authority else Trust()
    verify = ssl.CERT_REQUIRED if authority else ssl.CERT_NONE
    return TlsSettings((identity(folder, "server"),), trust, verify)


class Pair:
    """A client and a server."""

    def __init__(self, server: ServerContexts, client: Any, early: bytes = b"", session: Any = None) -> None:
        self.inside_server, self.inside_client = Inner(early), Inner()
        self.server = Side(server.first, self.inside_server, server=True)
        self.client = Side(client, self.inside_client, server=False, name="example.com", session=session)
        self.server.connection_made(self.server.pipe)
        self.client.connection_made(self.client.pipe)

    def carry(self, pieces: random.Random | None = None) -> None:
        """All that was written arrives, in pieces of any size."""
        while self.server.pipe.sent or self.client.pipe.sent:
            for one, other in ((self.client, self.server), (self.server, self.client)):
                data, one.pipe.sent = bytes(one.pipe.sent), bytearray()
                while data:
                    size = pieces.choice((1, 7, 100, 5000, 20000, 70000)) if pieces else len(data)
                    other.data_received(data[:size])
                    data = data[size:]


def client_settings(folder: Path, name: str | None = None) -> TlsSettings:
    return TlsSettings((identity(folder, name),) if name else ())


@pytest.mark.parametrize("seed", range(6))
def test_everything_arrives_in_any_pieces(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    pairs = [
        Pair(ServerContexts(server_settings(folder)), make_client_context(client_settings(folder)), b"early ")
        for _ in range(3)
    ]
    wanted: list[tuple[bytearray, bytearray]] = [(bytearray(), bytearray(b"early ")) for _ in pairs]
    for pair in pairs:
        pair.carry(chance)
        assert pair.server.done and pair.client.done
    for _ in range(12):
        # Connections take turns: nothing of one may be found in another.
        pair, (to_server, to_client) = chance.choice(list(zip(pairs, wanted, strict=True)))
        data = chance.randbytes(chance.choice((1, 100, 16384, 16385, 100_000, 300_000)))
        if chance.random() < 0.5:
            pair.client.write(data)
            to_server += data
        else:
            pair.server.writelines([data[:10], data[10:]])
            to_client += data
        if chance.random() < 0.7:
            pair.carry(chance)
    for pair, (to_server, to_client) in zip(pairs, wanted, strict=True):
        pair.carry(chance)
        assert pair.inside_server.got == to_server
        assert pair.inside_client.got == to_client


def test_each_half_ends_by_itself(folder: Path) -> None:
    pair = Pair(ServerContexts(server_settings(folder)), make_client_context(client_settings(folder)))
    pair.carry()
    pair.client.write(b"all")
    pair.client.write_eof()
    pair.carry()
    assert pair.inside_server.got == b"all" and pair.inside_server.ended
    assert not pair.inside_client.ended and not pair.server.pipe.closed
    pair.server.write(b"answer")
    pair.server.close()
    pair.carry()
    assert pair.inside_client.got == b"answer" and pair.inside_client.ended


def test_the_end_without_a_close_notify_is_an_end(folder: Path) -> None:
    pair = Pair(ServerContexts(server_settings(folder)), make_client_context(client_settings(folder)))
    pair.carry()
    assert pair.server.eof_received()
    assert pair.inside_server.ended


def test_a_broken_record_ends_the_connection_and_no_other(folder: Path) -> None:
    server, client = ServerContexts(server_settings(folder)), make_client_context(client_settings(folder))
    pair, other = Pair(server, client), Pair(server, client)
    pair.carry()
    other.carry()
    pair.client.write(b"secret")
    broken = bytearray(pair.client.pipe.sent)
    broken[-1] ^= 1
    pair.server.data_received(bytes(broken))
    assert isinstance(pair.server.failure, ssl.SSLError)
    assert pair.server.pipe.closed and not pair.inside_server.got
    other.client.write(b"hello")
    other.carry()
    assert other.inside_server.got == b"hello"


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0\1\2\3\4\5\6\7", b"\x16\3\1\0\5\1\0\0\1\0", b""])
def test_what_is_not_tls_is_refused(folder: Path, garbage: bytes) -> None:
    server = Side(ServerContexts(server_settings(folder)).first, Inner(), server=True)
    server.connection_made(server.pipe)
    if garbage:
        server.data_received(garbage)
        assert isinstance(server.failure, ssl.SSLError) and server.pipe.closed
    server.connection_lost(None)
    assert not server.done


@pytest.mark.parametrize("seed", range(20))
def test_hellos_with_wrong_bytes_do_no_harm(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    pair = Pair(ServerContexts(server_settings(folder)), make_client_context(client_settings(folder)))
    hello = bytearray(pair.client.pipe.sent)
    for _ in range(chance.randrange(1, 4)):
        hello[chance.randrange(5, len(hello))] = chance.randrange(256)
    pair.server.data_received(bytes(hello[: chance.randrange(1, len(hello) + 1)]))
    # What logs ask of a connection that is half way, or broken.
    facts = pair.server.facts
    for name in ("version", "cipher", "group", "session_id", "peer", "own", "chain", "issuer", "alpn", "reused"):
        getattr(facts, name)
    pair.server.connection_lost(None)
    assert pair.inside_server.lost


class TestSessions:
    """Who may come back without showing a certificate again."""

    def resume(self, folder: Path, first: ServerContexts, second: ServerContexts) -> tuple[Side, Side]:
        client = make_client_context(client_settings(folder, "client"))
        pair = Pair(first, client)
        pair.carry()
        pair.server.write(b"x")
        pair.carry()
        again = Pair(second, client, session=pair.client.tls.session)
        again.carry()
        return again.server, again.client

    def test_the_same_server_knows_the_client(self, folder: Path) -> None:
        settings = server_settings(folder, "ca")
        server, _ = self.resume(folder, ServerContexts(settings), ServerContexts(settings))
        assert server.done and server.facts.reused and not server.facts.validated

    def test_a_ticket_from_before_a_change_of_authorities_proves_nothing(self, folder: Path) -> None:
        before, after = server_settings(folder, "ca"), server_settings(folder, "other-ca")
        server, client = self.resume(folder, ServerContexts(before), ServerContexts(after))
        assert not server.done and isinstance(server.failure, ssl.SSLError)
        assert client.failure is not None or client.pipe.closed or client._ended

    def test_nor_one_of_a_context_that_asked_for_no_certificate(self, folder: Path) -> None:
        server, _ = self.resume(
            folder, ServerContexts(server_settings(folder)), ServerContexts(server_settings(folder, "ca"))
        )
        assert server.done and not server.facts.reused and server.facts.validated
