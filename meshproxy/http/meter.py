"""Counts what an exchange puts on the wire and takes from it, for connections that somebody wants counted.

Counting costs something with every read and write, so codecs have a metered subclass each
(`downstream/http1_metered.py`, `upstream/http1_metered.py`); connections that nobody wants counted know nothing of it.
"""

from collections.abc import Iterable
from typing import Any

from meshproxy.http.headers import Pair


class Meter:
    """Bytes of one exchange on one connection (Envoy's BytesMeter). `head_received`: headers without trailers.

    As in Envoy, a header line that came counts as name, value and three; one that was written as it is, with `: ` and
    its line end. First lines and the empty line that ends a head are on the wire only. Heads of interim answers count
    again with each that follows in `head_received`.
    """

    __slots__ = (
        "added", "head_received", "head_sent", "headers_received", "headers_sent", "wire_received", "wire_sent",
    )  # fmt: skip

    def __init__(self) -> None:
        self.wire_received = self.wire_sent = self.headers_received = self.head_received = self.headers_sent = 0
        # What heads and trailers come to without compression, where there is any.
        self.head_sent = 0
        # Of the header that the codec has added to those of a response: `connection: close`.
        self.added = 0

    def take_head(self, pairs: Iterable[Pair]) -> None:
        self.take_trailers(pairs)
        self.head_received += self.headers_received

    def send_trailers(self, pairs: Iterable[Pair]) -> None:
        self.headers_sent += sum([len(name) + len(value) + 4 for name, value in pairs])

    def take_trailers(self, pairs: Iterable[Pair]) -> None:
        self.headers_received += sum([len(name) + len(value) + 3 for name, value in pairs])


class MeteredTransport:
    """A transport that tells a meter what is written. `head_next`: what is written next begins with a head."""

    __slots__ = ("bare", "head_next", "meter")

    def __init__(self, transport: Any, meter: Meter) -> None:
        self.bare = transport
        self.meter = meter
        self.head_next = False

    def write(self, data: bytes) -> None:
        self._count(data, len(data))
        self.bare.write(data)

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self._count(parts[0], sum(map(len, parts)))
        self.bare.writelines(parts)

    def _count(self, start: bytes, size: int) -> None:
        meter = self.meter
        meter.wire_sent += size
        if self.head_next:
            self.head_next = False
            meter.headers_sent += start.find(b"\r\n\r\n") - start.find(b"\r\n")

    def __getattr__(self, name: str) -> Any:
        """Everything that is not about bytes is the transport's own."""
        return getattr(self.bare, name)
