"""Lines to a statsd server as datagrams, to an IP address or a unix socket."""

import logging
import socket

_log = logging.getLogger("stats")


class Datagrams:
    """Implements sinks.statsd.Writer. size: bytes of lines in one datagram; 0 for a line each.

    A server that is not there costs nothing but its lines: they are counted in `lost`, and the first is a warning.
    """

    def __init__(self, address: tuple[str, int], size: int = 0) -> None:
        """address: (ip, port) or (path, 0)."""
        self._address = address
        self._size = size
        self._socket: socket.socket | None = None
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self.lost = 0
        self._lost_before = 0
        self._failing = False

    def write(self, lines: list[str]) -> None:
        for line in lines:
            data = line.encode("latin-1", "meshproxy.utf8")
            if not self._size:
                self._send(data)
                continue
            if self._waiting and self._waiting_size + len(data) > self._size:
                self._send_waiting()
            self._waiting.append(data)
            # With the line's end.
            self._waiting_size += len(data) + 1

    def flush(self) -> None:
        self._send_waiting()
        # A refusal is told with the datagram after the one that was refused, so that one that succeeds says nothing.
        self._failing = self.lost > self._lost_before
        self._lost_before = self.lost

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send_waiting(self) -> None:
        if self._waiting:
            waiting, self._waiting, self._waiting_size = self._waiting, [], 0
            self._send(b"\n".join(waiting))

    def _send(self, data: bytes) -> None:
        try:
            self._connected().send(data)
        except OSError as error:
            self._failed(error)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            host, port = self._address
            family = socket.AF_INET6 if ":" in host else socket.AF_INET if port else socket.AF_UNIX
            self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._socket.connect((host, port) if port else host)
        return self._socket

    def _failed(self, error: OSError) -> None:
        self.lost += 1
        if not isinstance(error, (BlockingIOError, ConnectionRefusedError)):
            self.close()
        if not self._failing:
            self._failing = True
            host, port = self._address
            _log.warning("stats cannot be sent to %s: %s", f"{host}:{port}" if port else host, error.strerror)
