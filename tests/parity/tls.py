"""TLS on a scripted socket, either side: OpenSSL as the standard library has it, a peer for both proxies."""

import asyncio
import atexit
import functools
import shutil
import ssl
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.kit import pki

from .scenario import ScenarioError
from .wire import DEADLINE, Wire

Fill = Callable[[str], str]
_KEYS = frozenset("certificate ca sni alpn versions ciphers session require curves".split())
_VERSIONS = {
    "TLSv1.0": ssl.TLSVersion.TLSv1, "TLSv1.1": ssl.TLSVersion.TLSv1_1, "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}  # fmt: skip


@functools.cache
def pki_folder() -> Path:
    """The certificates that all scenarios of this process share (`${pki}`)."""
    folder = Path(tempfile.mkdtemp(prefix="parity-pki-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return pki.write(folder)


def make_context(options: Mapping[str, Any], *, server: bool) -> ssl.SSLContext:
    """`certificate: server` (with its key), `ca: ca` to verify the peer by, `require: true` for a server."""
    if unknown := options.keys() - _KEYS:
        raise ScenarioError(f"unknown key of tls: {', '.join(sorted(unknown))}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    lowest, highest = options.get("versions", ["TLSv1.2", "TLSv1.3"])
    if lowest in ("TLSv1.0", "TLSv1.1"):
        context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = _VERSIONS[lowest], _VERSIONS[highest]
    certificate = options.get("certificate", "server" if server else None)
    if certificate:
        context.load_cert_chain(pki_folder() / f"{certificate}.pem", pki_folder() / f"{certificate}.key")
    if "ca" in options:
        context.load_verify_locations(pki_folder() / f"{options['ca']}.pem")
        context.verify_mode = ssl.CERT_REQUIRED if options.get("require", not server) else ssl.CERT_OPTIONAL
    if "ciphers" in options:
        context.set_ciphers(options["ciphers"])
    if "curves" in options:
        context.set_ecdh_curve(options["curves"])
    if "alpn" in options:
        context.set_alpn_protocols(options["alpn"])
    return context


class TlsWire(Wire):
    """`ended` is "close_notify" where the peer has said that it ends, and otherwise "cut": whether an alert, the end or
    a reset of TCP is seen first is a matter of luck. `seen`: what came of the handshake, as an observation."""

    __slots__ = ("_incoming", "_outgoing", "seen", "server", "server_name", "tls")

    def __init__(self, wire: Wire, context: ssl.SSLContext, options: Mapping[str, Any], *, server: bool) -> None:
        super().__init__(wire.sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server
        self.seen: dict[str, Any] = {}
        self.server_name: str | None = None
        if server:
            context.sni_callback = self._asked
        name = None if server else options.get("sni", "example.com")
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name or None)

    def _asked(self, _tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self.server_name = name

    async def shake(self) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                self.seen = {"tls": self._facts() if await self._shake() else "refused"}
        except TimeoutError:
            self.seen = {"tls": "timeout"}

    def _facts(self) -> dict[str, Any]:
        tls = self.tls
        seen: dict[str, Any] = {"version": tls.version(), "cipher": (tls.cipher() or "-")[0]}
        seen["reused"] = tls.session_reused
        if self.server and self.tls.version() == "TLSv1.3":
            # Envoy's and our own preferences differ, and both are good.
            del seen["cipher"]
        if protocol := self.tls.selected_alpn_protocol():
            seen["alpn"] = protocol
        if self.server and self.server_name is not None:
            seen["sni"] = self.server_name
        if der := self.tls.getpeercert(True):
            seen["peer"] = _name_of(der)
            seen["chain"] = len(self.tls._sslobj.get_unverified_chain() or ())  # type: ignore[attr-defined]
        return seen

    async def _shake(self) -> bool:
        loop = asyncio.get_running_loop()
        while True:
            try:
                self.tls.do_handshake()
                await self._flush()
                return True
            except ssl.SSLWantReadError:
                await self._flush()
            except ssl.SSLError:
                await self._flush()
                self.ended = "cut"
                return False
            try:
                data = await loop.sock_recv(self.sock, 65536)
            except ConnectionError:
                self.ended = "cut"
                return False
            if not data:
                self.ended = "cut"
                return False
            self._incoming.write(data)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await super().send(self._outgoing.read())

    async def fill(self) -> bool:
        while not self.over:
            if self._take_plain():
                return True
            if self.over:
                break
            try:
                data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
            except ConnectionError:
                self.ended = "cut"
                break
            if not data:
                self.ended = "cut"
                break
            self._incoming.write(data)
        return False

    def _take_plain(self) -> bool:
        """Whether there was something to read in what has come."""
        found = False
        try:
            while data := self.tls.read(65536):
                self.buffer += data
                found = True
            self.ended = "close_notify"
        except ssl.SSLWantReadError:
            return found
        except ssl.SSLZeroReturnError:
            self.ended = "close_notify"
        except ssl.SSLError:
            self.ended = "cut"
        return found

    def poll(self) -> None:
        while not self.over:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            except ConnectionError:
                self.ended = "cut"
                return
            if not data:
                self.ended = "cut"
                return
            self._incoming.write(data)
            self._take_plain()

    async def send(self, data: bytes) -> None:
        if data and not self.over:
            try:
                self.tls.write(data)
            except ssl.SSLError:
                return
            await self._flush()

    def half_close(self) -> None:
        """A close_notify; TCP stays open."""
        try:
            self.tls.unwrap()
        except (ssl.SSLError, OSError):
            pass
        self._flush_now()

    def close(self) -> None:
        if not self.closed_here:
            if self.tls.version() is not None and self.ended is None:
                self.half_close()
            super().close()

    def _flush_now(self) -> None:
        try:
            if self._outgoing.pending:
                self.sock.send(self._outgoing.read())
        except OSError:
            return


def _name_of(der: bytes) -> str:
    """The name of the file that the certificate is in."""
    for path in pki_folder().glob("*.pem"):
        if ssl.PEM_cert_to_DER_cert(_first(path.read_text())) == der:
            return path.stem
    return "unknown"


def _first(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    return pem[: pem.index(end) + len(end)] + "\n"
