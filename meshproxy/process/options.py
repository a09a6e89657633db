"""Envoy's command line, so that whatever starts Envoy can start meshproxy.

One field of `Options` is one flag: `drain_time_s` is --drain-time-s, its default says what kind of value it takes.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

from meshproxy.observe.process_log import level_number, parse_levels

_MORE = "More: meshproxy wait --help, meshproxy request --help, meshproxy iptables --help"
_NO_HOT_RESTART = "there is no hot restart"


class UsageError(Exception):
    """The command line cannot be understood: one line says why."""


def _flag(
    default: Any, help: str, value: str = "", *, also: tuple[str, ...] = (), choices: tuple[str, ...] = (),
    inert: str = "",
) -> Any:  # fmt: skip
    """`value`: what the help calls the flag's value. `inert`: why the flag is accepted and has no effect here."""
    known = {"value": value, "also": also, "choices": choices, "inert": inert}
    known["help"] = f"accepted; {inert}" if inert else help
    return field(default_factory=list, metadata=known) if default is list else field(default=default, metadata=known)


@dataclass
class Options:
    """What the command line asked for. Times in the unit that the name says."""

    config_path: str = _flag("", "bootstrap configuration: YAML or JSON", "FILE", also=("-c",))
    config_yaml: str = _flag("", "inline configuration, merged over the file", "YAML")
    mode: str = _flag("serve", "what to do with the configuration", choices=("serve", "validate", "init_only"))
    concurrency: int = _flag(1, "worker processes (default: 1)", "N")
    log_level: str = _flag("info", "least level of the process log", "LEVEL", also=("-l",))
    component_log_level: str = _flag("", "levels of single loggers", "NAME:LEVEL,...")
    log_format: str = _flag("", "spdlog pattern of the process log", "PATTERN")
    log_format_escaped: bool = _flag(False, "escape control characters in the process log")
    log_path: str = _flag("", "process log; standard error where not given", "FILE")
    log_stacktrace_single_entry: bool = _flag(False, "", inert="a traceback is always one entry")
    enable_fine_grain_logging: bool = _flag(False, "", inert="loggers are per component")
    admin_address_path: str = _flag("", "file to write the admin address to", "FILE")
    local_address_ip_version: str = _flag("v4", "family of the local address", choices=("v4", "v6"))
    service_cluster: str = _flag("", "node.cluster", "NAME")
    service_node: str = _flag("", "node.id", "NAME")
    service_zone: str = _flag("", "node.locality.zone", "NAME")
    drain_time_s: int = _flag(600, "how long a drain takes", "S")
    drain_strategy: str = _flag("gradual", "how a drain asks clients to go", choices=("gradual", "immediate"))
    on_sigterm: str = _flag("exit", "SIGTERM ends at once, or drains first (not Envoy's)", choices=("exit", "drain"))
    file_flush_interval_msec: int = _flag(10_000, "longest time that an access log line waits in memory", "MS")
    file_flush_min_size_kb: int = _flag(64, "access log bytes that are written at once", "KB")
    allow_unknown_static_fields: bool = _flag(
        False, "what is unknown or unsupported in the bootstrap is a warning", also=("--allow-unknown-fields",)
    )
    reject_unknown_dynamic_fields: bool = _flag(False, "refuse unknown fields in dynamic configuration")
    ignore_unknown_dynamic_fields: bool = _flag(False, "do not warn of unknown fields in dynamic configuration")
    skip_deprecated_logs: bool = _flag(False, "do not warn of deprecated fields")
    stats_tag: list[str] = _flag(list, "a tag for every stat", "TAG:VALUE")  # noqa: RUF009
    base_id: int = _flag(0, "", "N", inert=_NO_HOT_RESTART)
    use_dynamic_base_id: bool = _flag(False, "", inert=_NO_HOT_RESTART)
    base_id_path: str = _flag("", "", "FILE", inert=_NO_HOT_RESTART)
    restart_epoch: int = _flag(0, "", "N", inert=_NO_HOT_RESTART)
    parent_shutdown_time_s: int = _flag(900, "", "S", inert=_NO_HOT_RESTART)
    disable_hot_restart: bool = _flag(False, "", inert=_NO_HOT_RESTART)
    skip_hot_restart_on_no_parent: bool = _flag(False, "", inert=_NO_HOT_RESTART)
    skip_hot_restart_parent_stats: bool = _flag(False, "", inert=_NO_HOT_RESTART)
    socket_path: str = _flag("@envoy_domain_socket", "", "FILE", inert=_NO_HOT_RESTART)
    socket_mode: str = _flag("600", "", "MODE", inert=_NO_HOT_RESTART)
    enable_core_dump: bool = _flag(False, "", inert="the operating system decides about core dumps")
    enable_mutex_tracing: bool = _flag(False, "", inert="there are no mutexes to trace")
    cpuset_threads: bool = _flag(False, "one worker for each core of the cpuset, unless --concurrency says how many")
    disable_extensions: str = _flag("", "", "NAMES", inert="an extension is loaded only where it is configured")

    def remarks(self) -> list[str]:
        """What was asked for and has no effect, each with the reason."""
        return [
            f"--{each.name.replace('_', '-')} has no effect: {each.metadata['inert']}"
            for each in fields(self)
            if each.metadata["inert"] and getattr(self, each.name) != each.default
        ]


def parse_options(arguments: Sequence[str]) -> Options:
    """Raises UsageError. Exits 0 after --help; --version and --hot-restart-version are the caller's."""
    given = list(arguments)
    if "--" in given:
        del given[given.index("--") :]
    options = Options(**vars(_parser().parse_args(given)))
    _check_levels(options)
    for tag in options.stats_tag:
        _check_tag(tag)
    if options.cpuset_threads and not any(each.partition("=")[0] == "--concurrency" for each in given):
        options.concurrency = len(os.sched_getaffinity(0))
    # Envoy too takes 0 for 1.
    options.concurrency = max(options.concurrency, 1)
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class _Once(argparse.Action):
    """A flag that is given twice is a mistake, as it is to Envoy: nobody knows which was meant."""

    given = False

    def __call__(self, _parser: object, options: argparse.Namespace, value: Any, _flag: str | None = None) -> None:
        if self.given:
            raise argparse.ArgumentError(self, "is given twice")
        self.given = True
        setattr(options, self.dest, value)


def _help(prog: str) -> argparse.HelpFormatter:
    """With a fixed width: otherwise the width of the terminal is asked for with every flag, which costs 5 ms."""
    return argparse.HelpFormatter(prog, width=110)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 4294967295")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="meshproxy", description="Envoy's data plane in pure Python.", allow_abbrev=False,
        usage="meshproxy [run] -c FILE [flags]", formatter_class=_help, epilog=_MORE,
    )  # fmt: skip
    for each in fields(Options):
        _add(parser, each.name, each.default, each.metadata)
    parser.add_argument("--version", action="store_true", default=argparse.SUPPRESS, help="print the version")
    parser.add_argument("--hot-restart-version", action="store_true", default=argparse.SUPPRESS,
        help=f"accepted; {_NO_HOT_RESTART}")  # fmt: skip
    return parser


def _add(parser: argparse.ArgumentParser, name: str, default: Any, known: Any) -> None:
    names = [each for each in known["also"] if not each.startswith("--")]
    names += ["--" + name.replace("_", "-"), *[each for each in known["also"] if each.startswith("--")]]
    if default is False:
        parser.add_argument(*names, dest=name, action="store_true", help=known["help"])
    elif isinstance(default, int):
        parser.add_argument(*names, dest=name, action=_Once, type=_count, default=default, metavar=known["value"],
            help=known["help"])  # fmt: skip
    elif isinstance(default, str):
        parser.add_argument(*names, dest=name, action=_Once, choices=known["choices"] or None, default=default,
            metavar=known["value"] or None, help=known["help"])  # fmt: skip
    else:
        parser.add_argument(*names, dest=name, action="append", default=[], metavar=known["value"], help=known["help"])


def _check_levels(options: Options) -> None:
    try:
        level_number(options.log_level)
        if options.component_log_level:
            if options.enable_fine_grain_logging:
                raise ValueError("--component-log-level will not work with --enable-fine-grain-logging")
            parse_levels(options.component_log_level)
    except ValueError as error:
        raise UsageError(str(error).removeprefix("error: ")) from None


def _check_tag(text: str) -> None:
    name, colon, value = text.partition(":")
    if not (colon and name.isascii() and name.isalnum() and value and "." not in value):
        raise UsageError(f"misformatted stats-tag '{text}'")
