"""Envoy's command line, so that whatever starts Envoy can start meshproxy."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import NoReturn

LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")
# Flags that mean nothing here: accepted, and named at debug level. (flag, whether it takes a value, why)
IGNORED = (
    ("--base-id", True, "there is no hot restart"),
    ("--base-id-path", True, "there is no hot restart"),
    ("--use-dynamic-base-id", False, "there is no hot restart"),
    ("--restart-epoch", True, "there is no hot restart"),
    ("--disable-hot-restart", False, "there is no hot restart"),
    ("--skip-hot-restart-on-no-parent", False, "there is no hot restart"),
    ("--skip-hot-restart-parent-stats", False, "there is no hot restart"),
    ("--socket-path", True, "there is no hot restart"),
    ("--socket-mode", True, "there is no hot restart"),
    ("--parent-shutdown-time-s", True, "there is no hot restart"),
    ("--enable-core-dump", False, "the operating system decides about core dumps"),
    ("--enable-mutex-tracing", False, "there are no mutexes to trace"),
    ("--cpuset-threads", False, "the number of workers is --concurrency"),
    ("--enable-fine-grain-logging", False, "loggers are per component"),
    ("--log-stacktrace-single-entry", False, "a traceback is always one entry"),
    ("--disable-extensions", True, "an extension is loaded only where it is configured"),
)


class UsageError(Exception):
    """The command line cannot be understood: one line says why."""


@dataclass
class Options:
    """What the command line asked for. Times in the unit that the name says."""

    config_path: str = ""
    config_yaml: str = ""
    mode: str = "serve"
    concurrency: int = 1
    log_level: str = "info"
    component_log_level: str = ""
    log_format: str = ""
    log_format_escaped: bool = False
    log_path: str = ""
    admin_address_path: str = ""
    local_address_ip_version: str = "v4"
    service_cluster: str = ""
    service_node: str = ""
    service_zone: str = ""
    drain_time_s: int = 600
    drain_strategy: str = "gradual"
    parent_shutdown_time_s: int = 900
    restart_epoch: int = 0
    base_id: int = 0
    file_flush_interval_msec: int = 10_000
    file_flush_min_size_kb: int = 64
    allow_unknown_static_fields: bool = False
    reject_unknown_dynamic_fields: bool = False
    ignore_unknown_dynamic_fields: bool = False
    skip_deprecated_logs: bool = False
    stats_tag: list[str] = field(default_factory=list)
    # Ignored flags that were given, each with its reason.
    remarks: list[str] = field(default_factory=list)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 4294967295")
    return int(text)


def parse_options(arguments: Sequence[str]) -> Options:
    """Raises UsageError. Exits 0 after --help; `--version` is the caller's."""
    given = _parser().parse_args(arguments)
    options = Options(**{each.name: getattr(given, each.name) for each in fields(Options) if each.name != "remarks"})
    for flag, _, why in IGNORED:
        value = getattr(given, flag[2:].replace("-", "_"))
        if value not in (None, False):
            options.remarks.append(f"{flag} has no effect: {why}")
    options.restart_epoch = int(given.restart_epoch or 0)
    options.base_id = int(given.base_id or 0)
    options.parent_shutdown_time_s = int(given.parent_shutdown_time_s or 900)
    if options.concurrency == 0:
        options.concurrency = os.cpu_count() or 1
    return options


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = _Parser(prog="meshproxy", description="Envoy's data plane in pure Python.", allow_abbrev=False)
    add = parser.add_argument
    add("-c", "--config-path", default="", metavar="FILE", help="bootstrap configuration: YAML or JSON")
    add("--config-yaml", default="", metavar="YAML", help="inline configuration, merged over the file")
    add("--mode", default="serve", choices=("serve", "validate", "init_only"), help="what to do with the configuration")
    add("--concurrency", type=_count, default=1, metavar="N", help="worker processes (0: one per core)")
    add("-l", "--log-level", default="info", choices=LEVELS, help="least level of the process log")
    add("--component-log-level", default="", metavar="A:LEVEL,B:LEVEL", help="levels of single loggers")
    add("--log-format", default="", metavar="FORMAT", help="spdlog pattern of the process log")
    add("--log-format-escaped", action="store_true", help="escape control characters in the process log")
    add("--log-path", default="", metavar="FILE", help="process log; standard error where not given")
    add("--admin-address-path", default="", metavar="FILE", help="file to write the admin address to")
    add("--local-address-ip-version", default="v4", choices=("v4", "v6"), help="family of the local address")
    add("--service-cluster", default="", metavar="NAME", help="node.cluster")
    add("--service-node", default="", metavar="NAME", help="node.id")
    add("--service-zone", default="", metavar="NAME", help="node.locality.zone")
    add("--drain-time-s", type=_count, default=defaults.drain_time_s, metavar="S", help="how long a drain takes")
    add("--drain-strategy", default="gradual", choices=("gradual", "immediate"), help="how a drain asks clients to go")
    add("--file-flush-interval-msec", type=_count, default=defaults.file_flush_interval_msec, metavar="MS",
        help="longest time that an access log line waits in memory")  # fmt: skip
    add("--file-flush-min-size-kb", type=_count, default=defaults.file_flush_min_size_kb, metavar="KB",
        help="access log bytes that are written at once")  # fmt: skip
    add("--allow-unknown-static-fields", "--allow-unknown-fields", action="store_true",
        help="unknown and unsupported fields of the bootstrap are warnings")  # fmt: skip
    add("--reject-unknown-dynamic-fields", action="store_true", help="refuse unknown fields in dynamic configuration")
    add("--ignore-unknown-dynamic-fields", action="store_true", help="do not warn of them either")
    add("--skip-deprecated-logs", action="store_true", help="do not warn of deprecated fields")
    add("--stats-tag", action="append", default=[], metavar="TAG:VALUE", help="a tag for every stat")
    for flag, takes_value, why in IGNORED:
        if takes_value:
            add(flag, metavar="VALUE", help=f"accepted; {why}")
        else:
            add(flag, action="store_true", help=f"accepted; {why}")
    return parser
