"""Running the proxy: in this process, or in this one and its workers."""

import asyncio
import gc
import logging
from functools import partial

import uvloop

from meshproxy.config.bootstrap import Loaded
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


def check(options: Options, loaded: Loaded) -> None:
    """Builds everything and opens nothing; what is wrong is in `loaded.problems` afterwards."""
    server = Server(options, loaded, LateLoop().as_loop())
    server.build()
    server.ctx.log_files.close()


def serve(options: Options, loaded: Loaded, log: SharedLog) -> bool:
    """Serves until told to stop; whether that was what ended it."""
    several = options.concurrency > 1
    late = LateLoop()
    server = Server(options, loaded, late.as_loop() if several else uvloop.new_event_loop(), log)
    server.build()
    loaded.problems.check()
    for problem in loaded.problems.ignored:
        _log.warning("%s", problem)
    for remark in options.remarks():
        _log.debug("%s", remark)
    return _serve_with_workers(server, late) if several else _run(server, server.loop)


def _serve_with_workers(server: Server, late: LateLoop) -> bool:
    # Only --concurrency needs these.
    from meshproxy.process.worker import serve_as_worker
    from meshproxy.process.workers import Workers
    from meshproxy.process.zygote import fork_zygote

    _settle()
    zygote = fork_zygote(partial(serve_as_worker, server, late))
    loop = uvloop.new_event_loop()
    late.bind(loop)
    server.workers = Workers(zygote, server.said, server.fail)
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
