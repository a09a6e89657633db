"""Running the proxy: in this process, or in this one and its workers."""

import asyncio
import gc
import logging
from functools import partial

import uvloop

from meshproxy.config.bootstrap import Loaded, load_bootstrap
from meshproxy.config.errors import Problems
from meshproxy.process.late_loop import LateLoop
from meshproxy.process.options import Options, UsageError
from meshproxy.process.server import Server
from meshproxy.process.shared import SharedLog

_log = logging.getLogger("main")


def start_log(options: Options) -> SharedLog:
    """The process log as the command line wants it. Raises UsageError where that cannot be."""
    log = SharedLog()
    try:
        log.start(options.log_level, options.log_format, options.log_path, options.log_format_escaped)
        if options.component_log_level:
            log.set_levels(options.component_log_level)
    except OSError as error:
        raise UsageError(f"cannot open log file '{options.log_path}': {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error).removeprefix("error: ")) from None
    return log


def check(options: Options, log: SharedLog) -> Problems:
    """Builds everything and opens nothing; what is wrong and what is ignored."""
    loaded = _load(options)
    server = Server(options, loaded, LateLoop().as_loop(), log)
    server.build()
    server.ctx.log_files.close()
    return loaded.problems


def serve(options: Options, log: SharedLog) -> bool:
    """Serves until told to stop; whether that was what ended it. Raises ConfigError for what cannot be served."""
    if options.concurrency == 1:
        loop = uvloop.new_event_loop()
        return _run(_build(options, log, loop), loop)
    late = LateLoop()
    return _serve_with_workers(_build(options, log, late.as_loop()), late)


def _load(options: Options) -> Loaded:
    return load_bootstrap(options.config_path, options.config_yaml, options.allow_unknown_static_fields)


def _build(options: Options, log: SharedLog, loop: asyncio.AbstractEventLoop) -> Server:
    """The server. What was read to build it is garbage afterwards, and more than the server is."""
    loaded = _load(options)
    server = Server(options, loaded, loop, log)
    server.build()
    loaded.problems.check()
    for problem in loaded.problems.ignored:
        _log.warning("%s", problem)
    for remark in options.remarks():
        _log.debug("%s", remark)
    return server


def _serve_with_workers(server: Server, late: LateLoop) -> bool:
    # Only --concurrency needs these.
    from meshproxy.process.worker import serve_as_worker
    from meshproxy.process.workers import Workers
    from meshproxy.process.zygote import fork_zygote

    _settle()
    assert server.numbers is not None, "there is more than one worker"
    server.numbers.share()
    zygote = fork_zygote(partial(serve_as_worker, server, late))
    loop = uvloop.new_event_loop()
    late.bind(loop)
    server.workers = Workers(zygote, server.numbers, server.said, server.words, server.fail)
    return _run(server, loop)


def _run(server: Server, loop: asyncio.AbstractEventLoop) -> bool:
    _settle()
    loop.run_until_complete(server.run())
    return not server.broken


def _settle() -> None:
    """What was built lives as long as the process: the collector need not look at it again, nor touch shared pages."""
    gc.collect()
    gc.freeze()
    gc.enable()
