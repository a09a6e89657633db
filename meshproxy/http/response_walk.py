"""A response on its way back through the hooks of its route; where one waits, what comes is held."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from meshproxy.http.filter import LocalReply, owner_of
from meshproxy.http.headers import Headers
from meshproxy.http.hold import Hold

if TYPE_CHECKING:
    from meshproxy.http.stream import Stream


def walk_headers(stream: "Stream", after: int, end: bool, body: bytes = b"") -> bool:
    """Runs the response hooks behind entry `after`; `body` is a local reply's, sent when a wait is over."""
    hooks = stream.hooks.response_headers
    for entry in range(after + 1, len(hooks)):
        hook = hooks[entry][1]
        try:
            outcome = hook(stream, end)
        except Exception:
            stream.hook_failed(hook)
            return False
        if outcome is not None:
            if isinstance(outcome, LocalReply):
                _replace(stream, outcome)
                return False
            hold = stream.response_hold = Hold(stream.manager.buffer_limit)
            if body:
                hold.chunks.append(body)
                hold.ended = True
            hold.wait(_wait(stream, outcome, hook, entry, end), outcome, f"filter {owner_of(hook)}")
            return False
        if stream.response_complete or stream.done:
            return False
    return True


def _replace(stream: "Stream", reply: LocalReply) -> None:
    """A response hook answered: its reply takes the place of the response and meets no further hook."""
    stream.abort_terminal()
    stream.details = reply.details
    if reply.flag is not None:
        stream.add_flag(reply.flag)
    stream.response, body = stream.manager.prepare_local_reply(stream, reply)
    if stream.request.method == "HEAD":
        body = b""
    stream.send_response_headers(not body)
    if body:
        stream.send_response_data(body, True)


async def _wait(stream: "Stream", outcome: Awaitable[LocalReply | None], hook: Any, entry: int, end: bool) -> None:
    try:
        reply = await outcome
    except Exception:
        if not stream.done:
            stream.hook_failed(hook)
        return
    if stream.done:
        return
    hold, stream.response_hold = stream.response_hold, None
    if reply is not None:
        _replace(stream, reply)
        return
    if not walk_headers(stream, entry, end):
        _hold_on(stream, hold)
        return
    stream.send_response_headers(end)
    _release(stream, hold)


def _hold_on(stream: "Stream", hold: Hold | None) -> None:
    """A later hook waits too: what was held meanwhile stays in front."""
    later = stream.response_hold
    if later is not None and hold is not None:
        hold.task = later.task
        stream.response_hold = hold


def _release(stream: "Stream", hold: Hold | None) -> None:
    if hold is None:
        return
    last = len(hold.chunks) - 1
    for i, chunk in enumerate(hold.chunks):
        pass_data(stream, chunk, i == last and hold.ended and hold.trailers is None)
    if hold.trailers is not None:
        pass_trailers(stream, hold.trailers)
    if hold.full and not stream.done:
        stream.manager.terminal.resume_reading(stream)


def hold_data(stream: "Stream", hold: Hold, data: bytes, end: bool) -> None:
    if data or (end and hold.trailers is None and not hold.chunks):
        hold.chunks.append(data)
    hold.size += len(data)
    hold.ended = end
    if hold.waiter is not None and not hold.waiter.done() and (end or hold.size >= hold.limit):
        hold.waiter.set_result(None)
    if hold.size > hold.limit and not hold.full:
        hold.full = True
        stream.manager.terminal.pause_reading(stream)


def pass_data(stream: "Stream", data: bytes, end: bool, behind: int | None = None) -> None:
    """behind: the place in the chain whose filter made the data; those that the response has yet to meet see it."""
    for place, hook in stream.hooks.response_data:
        if behind is not None and place >= behind:
            continue
        try:
            changed = hook(stream, data, end)
        except Exception:
            stream.hook_failed(hook)
            return
        if changed is not None:
            data = changed
        if stream.done:
            return
    stream.send_response_data(data, end)


def pass_trailers(stream: "Stream", trailers: Headers) -> None:
    for place, hook in stream.hooks.response_trailers:
        try:
            outcome = hook(stream)
        except Exception:
            stream.hook_failed(hook)
            return
        if isinstance(outcome, bytes):
            pass_data(stream, outcome, False, place)
            continue
        if isinstance(outcome, LocalReply):
            stream.reply(outcome)
            return
    stream.send_response_trailers(trailers)
