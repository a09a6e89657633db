"""/logging: levels of the process log."""

from meshproxy.admin.pages import TEXT, Answer, Request, page
from meshproxy.admin.server_view import Server
from meshproxy.observe.process_log import LEVELS, LOGGERS, ProcessLog, level_number, levels

_USAGE = """usage: /logging?<name>=<level> (change single level)
usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)
usage: /logging?level=<level> (change all levels)
usage: /logging?group=<group_name>:<level> (change group of loggers)
"""


@page(
    "/logging",
    "query/change logging levels",
    (
        "paths",
        "Change multiple logging levels by setting to <logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>.",
    ),
    ("group", "Change given logger group to desired level, set to <logger_group_name>:<desired_level>."),
    (
        "level",
        "desired logging level, this will change all loggers's level; One of (, trace, debug, info, warning, error, "
        "critical, off)",
    ),
    changes=True,
)
def logging(server: Server, request: Request) -> Answer:
    try:
        _change(server.process_log, request.query)
    except ValueError as error:
        return Answer(f"error: {error}\n\n{_USAGE}levels: {' '.join(LEVELS)} \n{_active()}", 400, TEXT)
    return Answer(_active())


def _active() -> str:
    lines = [f"  {name}: {level}\n" for name, level in levels().items()]
    return f"active loggers:\n{''.join(lines)}\n"


def _change(log: ProcessLog, query: dict[str, str]) -> None:
    if not query:
        return
    if len(query) > 1:
        raise ValueError("invalid number of parameters")
    name, value = next(iter(query.items()))
    if name == "level":
        _check_level(value)
        log.set_level(value)
        return
    # Every logger is a group of its own.
    pairs = value if name in ("paths", "group") else f"{name}:{value}"
    for pair in pairs.split(","):
        logger, colon, level = pair.partition(":")
        if not colon:
            raise ValueError("empty logger name or empty logger level")
        if logger not in LOGGERS:
            raise ValueError("unknown logger name")
        _check_level(level)
    log.set_levels(pairs)


def _check_level(level: str) -> None:
    try:
        level_number(level)
    except ValueError:
        raise ValueError("unknown logger level") from None
