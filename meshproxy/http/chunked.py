"""Chunked bodies (RFC 9112 §7.1) as they come, in the reading of Envoy's parser."""

import re

from meshproxy.http.errors import CodecError
from meshproxy.http.h1_head import parse_pairs
from meshproxy.http.headers import Pair

# Leading zeros count for nothing; what stands behind the size (extensions) is dropped.
_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,16})(?:[ \t;][^\r\n]*)?\r\Z")
_LINE_LIMIT = 64 * 1024
_TRAILER_LIMIT = 60 * 1024
_IN_SIZE, _IN_DATA, _BEHIND_DATA, _IN_TRAILERS, _ENDED = range(5)


class ChunkedDecoder:
    """Takes bytes as they come; `trailers` is there once `feed` says that the body has ended."""

    __slots__ = ("_left", "_partial", "_size", "_state", "_trailer_lines", "error", "trailers")

    def __init__(self) -> None:
        self._state = _IN_SIZE
        self._left = 0
        self._size = 0
        self._partial = b""
        self._trailer_lines: list[str] = []
        self.trailers: list[Pair] = []
        # Why the body is broken: what came before the fault is handed over first.
        self.error: CodecError | None = None

    def feed(self, data: bytes) -> tuple[bytes, bool, bytes]:
        """(decoded bytes, whether the body has ended, bytes that belong to the next message); then look at `error`."""
        if self._partial:
            data = self._partial + data
            self._partial = b""
        out: list[bytes] = []
        rest = b""
        try:
            rest = self._decode(data, out)
        except CodecError as error:
            self.error = error
        return (out[0] if len(out) == 1 else b"".join(out)), self._state == _ENDED and self.error is None, rest

    def _decode(self, data: bytes, out: list[bytes]) -> bytes:
        at = 0
        size = len(data)
        while at < size:
            if self._state == _IN_DATA:
                chunk = data[at : at + self._left]
                out.append(chunk)
                at += len(chunk)
                self._left -= len(chunk)
                if not self._left:
                    self._state = _BEHIND_DATA
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._keep(data[at:])
                break
            self._line(data[at : end + 1])
            at = end + 1
            if self._state == _ENDED:
                return data[at:]
        return b""

    def _keep(self, partial: bytes) -> None:
        """A line whose end has not come: what cannot become a line is refused at once."""
        if len(partial) > _LINE_LIMIT or (self._state == _IN_SIZE and not re.match(rb"[0-9A-Fa-f]", partial)):
            raise CodecError("http1.codec_error")
        self._partial = partial

    def _line(self, line: bytes) -> None:
        if self._state == _IN_SIZE:
            match = _SIZE.match(line[:-1])
            if match is None:
                raise CodecError("http1.codec_error")
            self._left = int(match[1], 16)
            self._state = _IN_DATA if self._left else _IN_TRAILERS
        elif self._state == _BEHIND_DATA:
            self._state = _IN_SIZE
        elif line in (b"\r\n", b"\n"):
            self.trailers = parse_pairs(self._trailer_lines)
            self._state = _ENDED
        else:
            self._size += len(line)
            if self._size > _TRAILER_LIMIT or len(self._trailer_lines) >= 100:
                raise CodecError("http1.trailers_too_large", 431)
            self._trailer_lines.append(line[:-1].rstrip(b"\r").decode("latin-1"))
