"""What filters of gRPC know of a call by its path and its bytes (PROTOCOL-HTTP2.md, Requests)."""

from dataclasses import dataclass


@dataclass(slots=True)
class MessageCounter:
    """Counts the messages in a body, each as it begins: a byte of flags, four of length, and the message."""

    count: int = 0
    # Bytes of the message at hand that are still to come; and its prefix, as far as it has come.
    _left: int = 0
    _prefix: bytes = b""

    def add(self, data: bytes) -> int:
        """How many messages begin in `data`."""
        before = self.count
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            if not self._prefix:
                self.count += 1
            taken = data[at : at + 5 - len(self._prefix)]
            self._prefix += taken
            at += len(taken)
            if len(self._prefix) == 5:
                self._left = int.from_bytes(self._prefix[1:])
                self._prefix = b""
        return self.count - before


@dataclass(slots=True)
class MessageReader:
    """Cuts a body into its messages, prefix included; what is not a whole one yet waits."""

    _waiting: bytes = b""

    def add(self, data: bytes) -> list[bytes]:
        """The messages that are whole now."""
        data = self._waiting + data
        found = []
        at = 0
        while len(data) - at >= 5:
            end = at + 5 + int.from_bytes(data[at + 1 : at + 5])
            if end > len(data):
                break
            found.append(data[at:end])
            at = end
        self._waiting = data[at:]
        return found


def service_and_method(path: str) -> tuple[str, str] | None:
    """`/package.Service/Method`, whatever its query."""
    parts = path.partition("?")[0].split("/")
    return (parts[1], parts[2]) if len(parts) == 3 and not parts[0] and parts[1] and parts[2] else None
