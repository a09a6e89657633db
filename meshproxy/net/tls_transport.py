"""TLS on a transport: to the socket's transport a protocol, to what is spoken inside a transport (RFC 8446, RFC 5246).

OpenSSL works on memory: records go in, records come out, and it keeps the half of one that has come to itself. So one
pair of memory BIOs serves all connections of a process, is empty between two events, and costs an idle connection
nothing; what bursts need is given back. uvloop's own TLS keeps 250 KB once it has moved as much (see ARCHITECTURE.md).
"""

import asyncio
import os
import ssl
from typing import TYPE_CHECKING, Any

from meshproxy.net.openssl import TlsContext
from meshproxy.net.tls_facts import TlsFacts
from meshproxy.observe.peers import Direction, Peers

if TYPE_CHECKING:
    from meshproxy.net.tls_verify import Judge

# What has come and what is to go, while one connection has its turn.
_incoming = ssl.MemoryBIO()
_outgoing = ssl.MemoryBIO()
# An alert: fatal, protocol_version.
_NOT_TLS = b"\x15\3\1\0\2\2\x46"
# No record carries more.
_RECORD = 16384
# Of a large write, so much is encrypted at once: that is what `_outgoing` grows to.
_AT_ONCE = 4 * _RECORD
# Plaintext of one event: a read of uvloop has at most 256 KiB of records.
_plain = memoryview(bytearray(256 * 1024 + _RECORD))


class TlsTransport(asyncio.Protocol):
    """One connection, either side. `established` and `failed` tell a subclass how the handshake ended.

    What is inside a server's is told of its transport before the handshake, as Envoy's filters are, and what it writes
    waits; inside a client's, after it.
    """

    __slots__ = (
        "_attached", "_closing", "_early", "_ended", "_fresh", "_judge", "_lost", "_paused", "_raw", "_read", "_said",
        "_shaking", "_write", "facts", "inner", "tls",
    )  # fmt: skip

    # Names of which the peer's certificate has to have one.
    expected: tuple[str, ...] = ()
    expected_of_sni = False

    def __init__(
        self, context: TlsContext, inner: Any, server_name: str | None = None, session: ssl.SSLSession | None = None, *,
        server: bool,
    ) -> None:  # fmt: skip
        self.tls = context.wrap_bio(
            _incoming, _outgoing, server_side=server, server_hostname=server_name, session=session
        )
        # What is behind the methods of the same name, without a call in between.
        self._read: Any = self.tls._sslobj.read  # type: ignore[attr-defined]
        self._write: Any = self.tls._sslobj.write  # type: ignore[attr-defined]
        self.inner = inner
        self._judge: Judge | None = context.judge
        self.facts = TlsFacts(self.tls, server_name or "")
        # A client whose session may still come.
        self._fresh = False
        self._raw: Any = None
        self._shaking = True
        # Whether `inner` knows of its transport; and what it wrote before the handshake was done.
        self._attached = server
        self._early: list[bytes] = []
        self._paused = False
        # The peer has said all; we have said all; the transport is closed, or told to.
        self._ended = self._said = self._closing = self._lost = False

    @property
    def requests(self) -> int:
        """As far as what is inside counts any."""
        return int(getattr(self.inner, "requests", 0))

    def tell(self, peers: Peers, direction: Direction) -> None:
        """Hands are shaken: `peers` hears with whom, if that has been proved."""
        peer = self.facts.known_peer
        if peer is not None:
            own = self.facts.own
            peers.connected(direction, peer.identity, own.identity if own is not None else "", self)

    # ---- for subclasses ----

    def established(self) -> None:
        """The handshake is done; what is inside a client's is told of its transport afterwards."""

    def session_came(self, with_data: bool) -> None:
        """Something came that may have brought a session, which is to be kept for the next connection."""

    def failed(self, error: Exception | None) -> None:
        """It will never be, or the peer has broken the protocol afterwards (ssl.SSLError). The transport closes."""

    # ---- to the socket's transport: a protocol ----

    def connection_made(self, transport: Any) -> None:
        self._raw = transport
        if self._attached:
            self.inner.connection_made(self)
        else:
            self._shake(b"")

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = self._lost = True
        if self._shaking:
            self._shaking = False
            self.failed(error)
        if self._attached:
            self.inner.connection_lost(error)

    def pause_writing(self) -> None:
        if self._attached:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        if self._attached:
            self.inner.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._shaking:
            self._shake(data)
        elif not self._closing:
            _incoming.write(data)
            plain: bytes | None = None
            failure: ssl.SSLError | None = None
            if len(data) <= _RECORD:
                try:
                    plain = self._read(_RECORD)
                except ssl.SSLError as error:
                    failure = error
            if plain and not _incoming.pending and not _outgoing.pending and not self._fresh:
                # The common case: one record, and all of it.
                self.inner.data_received(plain)
            else:
                self._receive(plain, failure)

    def eof_received(self) -> bool:
        if self._shaking:
            return False
        if not self._ended and not self._closing:
            self._end()
        return not self._closing

    def _receive(self, first: bytes | None = None, failure: ssl.SSLError | None = None) -> None:
        """Everything that has come goes inside at once; nothing of it stays behind. first, failure: of one read."""
        size = 0
        if first:
            size = len(first)
            _plain[:size] = first
        if failure is None and first != b"":
            size, failure = self._read_all(size)
        ended = isinstance(failure, ssl.SSLZeroReturnError) or (failure is None and first == b"")
        if isinstance(failure, ssl.SSLWantReadError | ssl.SSLZeroReturnError):
            # It is half a record, or the end.
            failure = None
        if ended or failure is not None:
            _incoming.read()
        if _outgoing.pending:
            self._raw.write(_outgoing.read())
        if self._fresh:
            self.session_came(bool(size))
        if size:
            self.inner.data_received(bytes(_plain[:size]))
        if failure is not None:
            self._break(failure)
        elif ended and not self._ended and not self._closing:
            self._end()

    def _read_all(self, size: int) -> tuple[int, ssl.SSLError | None]:
        """Behind `size` bytes that are there; how many there are then, and why there are no more."""
        try:
            while _incoming.pending:
                count = self._read(_RECORD, _plain[size:])
                if not count:
                    return size, ssl.SSLZeroReturnError()
                size += count
        except ssl.SSLError as error:
            return size, error
        return size, None

    def _end(self) -> None:
        """The peer has said all, with a close_notify or without."""
        self._ended = True
        if not self.inner.eof_received():
            self.close()

    # ---- the handshake ----

    def _shake(self, data: bytes) -> None:
        _incoming.write(data)
        judge = self._judge
        if judge is not None:
            judge.expected, judge.expected_of_sni, judge.verdict = self.expected, self.expected_of_sni, None
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._note(judge)
            self._raw.write(_outgoing.read())
            return
        except ssl.SSLError as error:
            self._note(judge)
            _incoming.read()
            self._break(error)
            return
        self._note(judge)
        if judge is not None and self.tls.session_reused and (late := judge.judge_again(self.facts.peer)) is not None:
            self.facts.verdict = late
            _incoming.read()
            self._break(_outlived())
            return
        if _outgoing.pending:
            self._raw.write(_outgoing.read())
        rest = _incoming.read()
        self._shaking = False
        self.established()
        if not self._attached:
            self._attached = True
            self.inner.connection_made(self)
        if self._early:
            early, self._early = b"".join(self._early), []
            self.write(early)
        if self._paused:
            self._raw.pause_reading()
        if rest and not self._closing:
            _incoming.write(rest)
            self._receive()

    def _note(self, judge: "Judge | None") -> None:
        if judge is not None and judge.verdict is not None:
            self.facts.verdict = judge.verdict

    def _break(self, error: Exception) -> None:
        """The peer does not speak TLS as it should; it is told so, where there are words for it."""
        if _outgoing.pending:
            self._raw.write(_outgoing.read())
        elif self._shaking and isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
            # OpenSSL says nothing to who does not speak TLS at all; Envoy does.
            self._raw.write(_NOT_TLS)
        self._shaking = False
        # There is nothing more to be said.
        self._said = self._closing = True
        self.failed(error)
        self._raw.close()

    # ---- to what is inside: a transport ----

    def write(self, data: bytes | memoryview) -> None:
        if self._shaking:
            self._early.append(bytes(data))
            return
        if self._said or self._lost or not data:
            return
        if len(data) <= _AT_ONCE:
            self._write(data)
        else:
            rest = memoryview(data)
            while len(rest) > _AT_ONCE:
                self._write(rest[:_AT_ONCE])
                self._raw.write(_outgoing.read())
                rest = rest[_AT_ONCE:]
            self._write(rest)
        self._raw.write(_outgoing.read())

    def writelines(self, parts: Any) -> None:
        """What is first, such as a head, goes into the record of what is behind it; large bodies are not copied."""
        first, *rest = parts
        if len(rest) == 1 and len(first) < _RECORD < len(rest[0]) and not self._shaking:
            body = memoryview(rest[0])
            room = _RECORD - len(first)
            self.write(b"".join((first, body[:room])))
            self.write(body[room:])
        else:
            self.write(b"".join(parts))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """A close_notify: this side has said all, and listens on."""
        if not self._said and not self._shaking and not self._lost:
            self._said = True
            try:
                self.tls.unwrap()
            except (ssl.SSLError, OSError):
                # It wants to see the peer's close_notify, for which nobody waits here.
                pass
            if _outgoing.pending:
                self._raw.write(_outgoing.read())

    def close(self) -> None:
        if not self._closing:
            self.write_eof()
            self._closing = True
            self._raw.close()

    def abort(self) -> None:
        if not self._closing:
            self._closing = True
            if not self._shaking and not self._said:
                self._say_end_now()
        self._raw.abort()

    def _say_end_now(self) -> None:
        """A close_notify, if the socket takes it: what waits in the transport will never be written."""
        sock = self._raw.get_extra_info("socket")
        if sock is None or self._raw.get_write_buffer_size():
            return
        self._said = True
        try:
            self.tls.unwrap()
        except (ssl.SSLError, OSError):
            pass
        try:
            os.write(sock.fileno(), _outgoing.read())
        except OSError:
            # The peer will not hear it.
            pass

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True
        if not self._shaking:
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if not self._shaking:
            self._raw.resume_reading()

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def set_protocol(self, protocol: Any) -> None:
        self.inner = protocol

    def get_protocol(self) -> Any:
        return self.inner

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        limits: tuple[int, int] = self._raw.get_write_buffer_limits()
        return limits

    def get_write_buffer_size(self) -> int:
        size: int = self._raw.get_write_buffer_size()
        return size + sum(map(len, self._early))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self.tls
        return self.facts if name == "tls" else self._raw.get_extra_info(name, default)


def _outlived() -> ssl.SSLError:
    """The session of a certificate that is good no more."""
    error = ssl.SSLError("certificate verify failed")
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    return error
