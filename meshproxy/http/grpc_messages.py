"""gRPC's messages on a stream: a flag, four bytes of length, and the bytes (PROTOCOL-HTTP2.md of gRPC)."""

from struct import Struct

_HEAD = Struct(">BI")
HEAD_SIZE = _HEAD.size
COMPRESSED = 1


def frame_message(message: bytes, flags: int = 0) -> bytes:
    return _HEAD.pack(flags, len(message)) + message


class MessageTooLong(Exception):
    """A message is longer than the reader takes."""


class MessageReader:
    """Puts messages together again. limit: the longest that is taken, in bytes; 0 for any."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The messages that are complete with these bytes, each with its flags. Raises MessageTooLong."""
        if self._buffer:
            data = self._buffer + data
        messages = []
        at, size = 0, len(data)
        while size - at >= HEAD_SIZE:
            flags, length = _HEAD.unpack_from(data, at)
            if 0 < self._limit < length:
                raise MessageTooLong
            end = at + HEAD_SIZE + length
            if end > size:
                break
            messages.append((flags, data[at + HEAD_SIZE : end]))
            at = end
        self._buffer = data[at:] if at else data
        return messages

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._buffer)
