"""Running a server in this process, and building one only to see what is wrong with its configuration."""

import asyncio
import gc
import logging

import uvloop

from meshproxy.config.bootstrap import Loaded
from meshproxy.config.errors import ConfigError
from meshproxy.process.options import Options
from meshproxy.process.server import Server

_log = logging.getLogger("main")


def check(options: Options, loaded: Loaded) -> None:
    """Builds everything and opens nothing; what is wrong is in `loaded.problems` afterwards."""
    loop = uvloop.new_event_loop()
    try:
        Server(options, loaded, loop).build()
    finally:
        loop.close()


def serve(options: Options, loaded: Loaded) -> int:
    """Serves until told to stop; the exit status."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(options, loaded))


async def _serve(options: Options, loaded: Loaded) -> int:
    server = Server(options, loaded, asyncio.get_running_loop())
    log = server.process_log
    log.start(options.log_level, options.log_format, options.log_path, options.log_format_escaped)
    if options.component_log_level:
        log.set_levels(options.component_log_level)
    server.build()
    loaded.problems.check()
    for problem in loaded.problems.ignored:
        _log.warning("%s", problem)
    for remark in options.remarks:
        _log.debug("%s", remark)
    try:
        await server.start()
    except OSError as error:
        raise ConfigError(str(error)) from error
    # All of this lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    if options.mode != "init_only":
        await server.run()
    await server.stop()
    return 0
