"""A request on its way through the hooks of its route, to the terminal filter; where one waits, what comes is held."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from meshproxy.http.filter import LocalReply, owner_of
from meshproxy.http.headers import Headers
from meshproxy.http.hold import Hold

if TYPE_CHECKING:
    from meshproxy.http.stream import Stream


def walk_headers(stream: "Stream", after: int, end: bool) -> bool:
    """Runs the hooks behind place `after`; True when the terminal filter may start."""
    hooks = stream.hooks.request_headers
    for place, hook in hooks:
        if place <= after:
            continue
        try:
            outcome = hook(stream, end)
        except Exception:
            stream.hook_failed(hook)
            return False
        if stream.route_cleared:
            stream.find_route_again()
            if outcome is None and not stream.response_complete:
                return walk_headers(stream, place, end)
        if outcome is not None:
            if isinstance(outcome, LocalReply):
                stream.reply(outcome)
            else:
                hold = stream.request_hold = Hold(stream.manager.buffer_limit)
                hold.ended = end
                hold.wait(_wait(stream, outcome, hook, place, end), outcome, f"filter {owner_of(hook)}")
            return False
        if stream.response_complete or stream.done:
            return False
    return True


async def _wait(stream: "Stream", outcome: Awaitable[LocalReply | None], hook: Any, place: int, end: bool) -> None:
    try:
        reply = await outcome
    except Exception:
        if not stream.done:
            stream.hook_failed(hook)
        return
    if stream.done or stream.response_complete:
        return
    if reply is not None:
        stream.reply(reply)
        return
    if stream.route_cleared:
        stream.find_route_again()
    hold = stream.request_hold
    if not walk_headers(stream, place, end):
        # A later hook waits too: what was held meanwhile stays in front.
        later = stream.request_hold
        if later is not None and hold is not None and later is not hold:
            hold.waiter, hold.task = None, later.task
            stream.request_hold = hold
        return
    stream.terminal_started = True
    stream.terminal_started_at = stream.manager.loop.time()
    stream.manager.terminal.start(stream, end)
    _release(stream)


def _release(stream: "Stream") -> None:
    hold, stream.request_hold = stream.request_hold, None
    if hold is None:
        return
    last = len(hold.chunks) - 1
    for i, chunk in enumerate(hold.chunks):
        if stream.done or stream.response_complete:
            return
        pass_data(stream, chunk, i == last and hold.ended and hold.trailers is None)
    if hold.trailers is not None:
        pass_trailers(stream, hold.trailers)
    if hold.full and not stream.done:
        stream.server.resume_reading(stream)


def hold_data(stream: "Stream", hold: Hold, data: bytes, end: bool) -> None:
    if data or (end and hold.trailers is None and not hold.chunks):
        hold.chunks.append(data)
    hold.size += len(data)
    hold.ended = end
    if hold.size > hold.limit:
        if hold.waiter is not None:
            refuse_body(stream, hold)
            return
        if not hold.full:
            hold.full = True
            stream.server.pause_reading(stream)
    if end and hold.waiter is not None and not hold.waiter.done():
        hold.waiter.set_result(None)


def refuse_body(stream: "Stream", hold: Hold) -> None:
    """More than the filter that waits for it may hold."""
    stream.manager.stats.downstream_rq_too_large += 1
    # The rest is not waited for. The filter is cancelled before the reply drops what it waits for.
    stream.request_complete = False
    hold.waiter.cancel()
    stream.reply(LocalReply(413, b"Payload Too Large", "request_payload_too_large", close=True))


def pass_data(stream: "Stream", data: bytes, end: bool) -> None:
    for _, hook in stream.hooks.request_data:
        try:
            changed = hook(stream, data, end)
        except Exception:
            stream.hook_failed(hook)
            return
        if changed is not None:
            data = changed
        if stream.response_complete or stream.done:
            return
    stream.manager.terminal.send_data(stream, data, end)


def pass_trailers(stream: "Stream", trailers: Headers) -> None:
    for _, hook in stream.hooks.request_trailers:
        try:
            outcome = hook(stream)
        except Exception:
            stream.hook_failed(hook)
            return
        if isinstance(outcome, LocalReply):
            stream.reply(outcome)
            return
        if stream.response_complete or stream.done:
            return
    stream.manager.terminal.send_trailers(stream, trailers)
