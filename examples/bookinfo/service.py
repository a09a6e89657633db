"""What the four Bookinfo services share: an HTTP/1.1 server of functions, and calls to each other through the mesh."""

import argparse
import http.client
import http.server
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

# Headers a service hands on, so that the proxy can route and trace a call by who started it.
FORWARDED = ("x-request-id", "end-user")
# How long a service is gone after POST /away, or answers 500 after POST /broken, so that one can see what the proxy
# makes of it.
AWAY_S = 60.0


class Request(NamedTuple):
    """One request: ``body`` is empty where none was sent, ``headers`` compares names without case."""

    method: str
    path: str
    headers: Any
    body: str


class Answer(NamedTuple):
    """One answer; ``headers`` come on top of content-type and content-length."""

    status: int
    content_type: str
    body: str
    headers: tuple[tuple[str, str], ...] = ()


def as_json(value: object, status: int = 200) -> Answer:
    return Answer(status, "application/json", json.dumps(value) + "\n")


def call(mesh: str, service: str, path: str, headers: Any) -> Any:
    """GET ``path`` of ``service`` through the proxy at ``mesh`` (host:port); OSError or ValueError where it fails."""
    connection = http.client.HTTPConnection(mesh, timeout=10)
    forwarded = {name: headers[name] for name in FORWARDED if headers.get(name)}
    try:
        connection.request("GET", path, headers={"host": service, **forwarded})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise OSError(f"{service} answered {response.status}")
        return json.loads(body)
    except http.client.HTTPException as error:
        raise OSError(f"{service} broke off: {error!r}") from error
    finally:
        connection.close()


def arguments(default_port: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=default_port)
    parser.add_argument("--mesh", default="127.0.0.1:8081", help="host:port of the proxy's mesh listener")
    return parser


def serve(options: argparse.Namespace, answer: Callable[[Request], Answer]) -> None:
    """Answer requests until SIGTERM or Ctrl-C.

    After POST /away nobody listens for a while, after POST /broken everything is answered 500.
    """
    away = threading.Event()
    broken_until = 0.0

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment

        def do_GET(self) -> None:
            if away.is_set():
                self.close_connection = True
                return
            length = self.headers.get("content-length", "0")
            body = self.rfile.read(int(length)) if length.isascii() and length.isdigit() else b""
            path = urlsplit(self.path).path
            if time.monotonic() < broken_until:
                found = Answer(500, "text/plain", "Broken, for a while.\n")
            else:
                found = answer(Request(self.command, path, self.headers, body.decode()))
            status, content_type, text, headers = found
            payload = text.encode()
            self.send_response(status)
            for name, value in (("content-type", content_type), ("content-length", str(len(payload))), *headers):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        def do_POST(self) -> None:
            nonlocal broken_until
            if self.path == "/broken":
                broken_until = time.monotonic() + AWAY_S
            elif self.path == "/away":
                away.set()
                self.server.shutdown()
                self.server.server_close()
                self.close_connection = True
            else:
                self.do_GET()
                return
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """The proxy's access log tells of every call already."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            with Server((options.bind, options.port), Handler) as server:
                server.serve_forever()
            time.sleep(AWAY_S)
            away.clear()
    except KeyboardInterrupt:
        sys.exit(0)
