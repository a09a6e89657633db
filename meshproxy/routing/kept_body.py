"""A request's body for as long as it may have to be sent once more."""

from meshproxy.http.headers import Headers


class KeptBody:
    """`ended`: no more comes. The pieces are those that the client's connection gave: nothing is copied."""

    __slots__ = ("_left", "chunks", "ended", "trailers")

    def __init__(self, limit: int) -> None:
        """limit: bytes that may be kept."""
        self._left = limit
        self.chunks: list[bytes] = []
        self.trailers: Headers | None = None
        self.ended = False

    def add(self, data: bytes, end: bool) -> bool:
        """False, and no more is kept, where it gets too large."""
        self._left -= len(data)
        if self._left < 0:
            return False
        if data:
            self.chunks.append(data)
        self.ended = end
        return True

    @property
    def empty(self) -> bool:
        """Whether the whole body is no body."""
        return self.ended and not self.chunks and self.trailers is None
