"""The end of the admin chain: looks up the page that a request names and writes its answer, a piece at a time."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator

from meshproxy.admin.pages import PAGES, TEXT, Answer, Page, Request, help_text, parse_query
from meshproxy.admin.server_view import Server
from meshproxy.http.headers import Headers, ResponseHeaders
from meshproxy.http.stream import Stream
from meshproxy.net.slices import Turns
from meshproxy.net.tasks import start_task

_log = logging.getLogger("admin")

# What every page says besides.
_SAFE = [("cache-control", "no-cache, max-age=0"), ("x-content-type-options", "nosniff")]

# Of an answer that is one long text, this many characters are written between two looks at other connections.
_PIECE = 64 * 1024
# A form that is posted, in bytes; nobody posts more. Of other bodies nothing is kept.
_MAX_FORM = 1024 * 1024


class Exchange:
    """One request to the admin interface while it is answered (the stream's `upstream`)."""

    __slots__ = ("form", "gone", "is_form", "size", "writable")

    def __init__(self, is_form: bool) -> None:
        self.is_form = is_form
        self.form: list[bytes] = []
        self.size = 0
        self.gone = False
        self.writable = asyncio.Event()
        self.writable.set()


class AdminTerminal:
    """Implements http.stream.Terminal. `allowed`: whether a path, with its query, may be asked for (allow_paths)."""

    def __init__(self, server: Server, allowed: Callable[[str], bool]) -> None:
        self._server = server
        self._allowed = allowed
        self._turns = Turns()

    # ---- from the stream ----

    def start(self, stream: Stream, end: bool) -> None:
        stream.upstream = Exchange(stream.request.get("content-type") == "application/x-www-form-urlencoded")
        if end:
            self._answer(stream)

    def send_data(self, stream: Stream, data: bytes, end: bool) -> None:
        exchange: Exchange = stream.upstream
        if exchange.is_form:
            exchange.size += len(data)
            if exchange.size <= _MAX_FORM:
                exchange.form.append(data)
        if end:
            self._answer(stream)

    def send_trailers(self, stream: Stream, trailers: Headers) -> None:
        self._answer(stream)

    def abort(self, stream: Stream) -> None:
        exchange: Exchange = stream.upstream
        exchange.gone = True
        exchange.writable.set()

    def pause_reading(self, stream: Stream) -> None:
        stream.upstream.writable.clear()

    def resume_reading(self, stream: Stream) -> None:
        stream.upstream.writable.set()

    def flush(self, stream: Stream) -> None:
        """Nothing of a request is kept back."""

    # ---- the answer ----

    def _answer(self, stream: Stream) -> None:
        start_task(self._write(stream), f"admin {stream.request.path}")

    async def _write(self, stream: Stream) -> None:
        exchange: Exchange = stream.upstream
        answer = await self._make(stream, exchange)
        if stream.done:
            return
        stream.details = "admin_filter_response"
        wants_body = stream.request.method != "HEAD"
        stream.respond_headers(_head(answer), not wants_body)
        try:
            if wants_body:
                await self._write_body(stream, exchange, answer.body)
        except Exception:
            # What was sent already must not look whole.
            _log.exception("the page %s failed", stream.request.path)
            stream.reset()
            return
        if answer.then is not None:
            answer.then()

    async def _write_body(self, stream: Stream, exchange: Exchange, body: str | bytes | Iterable[str]) -> None:
        async for texts in self._turns.slices(_texts(body)):
            await exchange.writable.wait()
            if exchange.gone or stream.done:
                return
            if data := _encoded(texts):
                stream.respond_data(data, False)
        stream.respond_data(b"", True)

    async def _make(self, stream: Stream, exchange: Exchange) -> Answer:
        headers = stream.request
        if not self._allowed(headers.path):
            return Answer(f"request to path {headers.path} not allowed".encode("latin-1"), 403)
        path, _, query = headers.path.partition("?")
        page = PAGES.get(path)
        if page is None:
            return Answer(f"invalid path. {help_text()}", 404)
        if page.changes and headers.method != "POST":
            _log.error('admin path "%s" mutates state, method=%s rather than POST', path, headers.method)
            return Answer(f"Method {headers.method} not allowed, POST required.", 405)
        if exchange.size > _MAX_FORM:
            return Answer("the form is too large\n", 413)
        if page.changes:
            _log.info("%s %s", headers.method, path)
        fields = parse_query(query) or parse_query(b"".join(exchange.form).decode("latin-1"))
        return await self._call(page, Request(path, fields, headers))

    async def _call(self, page: Page, request: Request) -> Answer:
        try:
            if page.shows is not None:
                await self._server.refresh(page.shows)
            return page.make(self._server, request)
        except Exception:
            _log.exception("the page %s failed", request.path)
            return Answer("internal error: see the log\n", 500)


def _head(answer: Answer) -> ResponseHeaders:
    return ResponseHeaders(answer.status, [*answer.headers, ("content-type", answer.content_type or TEXT), *_SAFE])


def _texts(body: str | bytes | Iterable[str | bytes]) -> Iterator[str | bytes]:
    """The body in pieces that are written at once."""
    if isinstance(body, (str, bytes)):
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]
    else:
        yield from body


def _encoded(texts: list[str | bytes]) -> bytes:
    return b"".join([text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape") for text in texts])
