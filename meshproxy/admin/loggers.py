"""/logging: levels of the process log."""

from meshproxy.admin.pages import TEXT, Answer, Request, page
from meshproxy.admin.server_view import Server
from meshproxy.observe.log_pattern import LEVELS
from meshproxy.observe.process_log import LOGGERS, ProcessLog, levels

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
        "Change multiple logging levels by setting to <logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>. "
        "If fine grain logging is enabled, use __FILE__ or a glob experision as the logger name. For example, "
        "source/common*:warning",
    ),
    (
        "group",
        "Change given logger group to desired level, set to <logger_group_name>:<desired_level>. logger_group_name "
        "must be a logger name.",
    ),
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
    """Raises ValueError, and then nothing is changed. A parameter without a value (of an HTML form) is none."""
    given = {name: value for name, value in query.items() if value}
    if not given:
        return
    if len(given) > 1:
        raise ValueError("invalid number of parameters")
    ((name, value),) = given.items()
    if name == "group":
        raise ValueError("group parameter requires fine-grain logging to be enabled")
    if name == "level":
        _check_level(value)
        log.set_level(value)
        return
    wanted = _pairs(value) if name == "paths" else {name: value}
    for level in wanted.values():
        _check_level(level)
    if not wanted.keys() <= set(LOGGERS):
        raise ValueError("unknown logger name")
    if wanted:
        log.set_levels(",".join([f"{name}:{level}" for name, level in wanted.items()]))


def _pairs(text: str) -> dict[str, str]:
    """`admin:debug,http:info`"""
    wanted = {}
    for pair in text.split(","):
        if pair.strip(" "):
            logger, _, level = pair.partition(":")
            if not logger or not level:
                raise ValueError("empty logger name or empty logger level")
            wanted[logger] = level
    return wanted


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise ValueError("unknown logger level")
