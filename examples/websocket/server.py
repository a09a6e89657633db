"""A WebSocket server (RFC 6455) that greets and then echoes each frame; small frames only, standard library only."""

import argparse
import base64
import hashlib
import signal
import socketserver
import sys

KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
TEXT, CLOSE = 0x81, 0x88


class Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            head[name.lower()] = value.strip()
        if head.get("upgrade", "").lower() != "websocket":
            self.wfile.write(b"HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1((head["sec-websocket-key"] + KEY).encode()).digest()).decode()
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + accept.encode() + b"\r\n\r\n"
        )
        self.send(TEXT, b"Say something.")
        while frame := self.rfile.read(2):
            payload = self.receive(frame[1] & 0x7F)
            self.send(frame[0], payload)
            if frame[0] == CLOSE:
                return

    def receive(self, length: int) -> bytes:
        """The payload of a frame of a client, which is masked; at most 125 bytes."""
        mask = self.rfile.read(4)
        return bytes(byte ^ mask[index % 4] for index, byte in enumerate(self.rfile.read(length)))

    def send(self, first: int, payload: bytes) -> None:
        self.wfile.write(bytes([first, len(payload)]) + payload)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=10001)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(("127.0.0.1", parser.parse_args().port), Conversation).serve_forever()
