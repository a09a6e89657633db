"""Chunked bodies (RFC 9112 §7.1), read strictly: what is not exactly a chunk is an error."""

import re

from meshproxy.http.errors import CodecError
from meshproxy.http.h1 import HEADER_LINES
from meshproxy.http.headers import Pair

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n\x00]*)?\Z")
_LINE_LIMIT = 16384


class ChunkedDecoder:
    """Takes bytes as they come; `trailers` is there once `feed` says that the body has ended."""

    __slots__ = ("_left", "_partial", "_state", "_trailer_lines", "trailers")

    def __init__(self) -> None:
        self._state = 0  # 0 size line, 1 data, 2 CRLF behind data, 3 trailers, 4 ended
        self._left = 0
        self._partial = b""
        self._trailer_lines: list[str] = []
        self.trailers: list[Pair] = []

    def feed(self, data: bytes) -> tuple[bytes, bool, bytes]:
        """(decoded bytes, whether the body has ended, bytes that belong to the next message)."""
        if self._partial:
            data = self._partial + data
            self._partial = b""
        out: list[bytes] = []
        at = 0
        size = len(data)
        while at < size:
            if self._state == 1:
                chunk = data[at : at + self._left] if at or self._left < size else data
                out.append(chunk)
                at += len(chunk)
                self._left -= len(chunk)
                if not self._left:
                    self._state = 2
                continue
            end = data.find(b"\n", at)
            if end < 0:
                if size - at > _LINE_LIMIT:
                    raise CodecError("http1.codec_error")
                self._partial = data[at:]
                break
            line = data[at:end]
            at = end + 1
            if not line.endswith(b"\r"):
                raise CodecError("http1.codec_error")
            self._line(line[:-1])
            if self._state == 4:
                return b"".join(out), True, data[at:]
        return (out[0] if len(out) == 1 else b"".join(out)), False, b""

    def _line(self, line: bytes) -> None:
        if self._state == 0:
            match = _SIZE.match(line)
            if match is None:
                raise CodecError("http1.codec_error")
            self._left = int(match[1], 16)
            self._state = 1 if self._left else 3
        elif self._state == 2:
            if line:
                raise CodecError("http1.codec_error")
            self._state = 0
        elif line:
            if len(self._trailer_lines) >= 100:
                raise CodecError("http1.too_many_trailers", 431)
            self._trailer_lines.append(line.decode("latin-1"))
        else:
            self.trailers = [HEADER_LINES[text] for text in self._trailer_lines]
            self._state = 4
