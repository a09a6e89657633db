"""The command: `meshproxy iptables`, `istio-iptables`, and `istio-clean-iptables` for removing the rules.

Exit status: 0 when all was done, 1 for anything that went wrong, 126 when validation failed.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from meshproxy.iptables.checks import check
from meshproxy.iptables.errors import SetupError, UsageError
from meshproxy.iptables.flags import HelpAsked
from meshproxy.iptables.host import look_around
from meshproxy.iptables.log import Log
from meshproxy.iptables.options import Config, command_flags, read_options
from meshproxy.iptables.owners import check_names

HELP = """\
Sends the traffic of a pod to its proxy, with the rules of Istio's istio-iptables.

Usage:
  {program} [flags]

Every flag but --envoy-port may be given as an environment variable: --proxy-uid as PROXY_UID. A flag wins.

Flags:
{flags}"""


def main(arguments: Sequence[str] | None = None, program: str = "") -> NoReturn:
    """Runs the command line that this process was started with, and ends the process."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(given, program or os.path.basename(sys.argv[0])))


def clean_main() -> NoReturn:
    """The same with --cleanup-only."""
    main(["--cleanup-only", *sys.argv[1:]], "istio-clean-iptables")


def run(arguments: Sequence[str], program: str = "istio-iptables") -> int:
    early: list[str] = []
    try:
        config = read_options(arguments, os.environ, early.append)
        log = Log(config.log_levels, config.log_as_json, config.log_targets)
    except HelpAsked:
        print(HELP.format(program=program, flags=command_flags().usage()), end="")
        return 0
    except UsageError as error:
        print(f"{program}: {error} (see {program} --help)", file=sys.stderr)
        return 1
    for warning in early:
        log.warn(warning)
    signal.signal(signal.SIGTERM, _stop)
    try:
        return _do(config, log)
    except SetupError as error:
        log.error(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def _stop(number: int, _frame: object) -> None:
    """A signal unwinds what is being done, so that the rules are put back."""
    raise SystemExit(128 + number)


def _do(config: Config, log: Log) -> int:
    check(config, log.warn)
    if config.network_namespace:
        from meshproxy.iptables.namespace import enter_network

        enter_network(config.network_namespace)
    look_around(config, os.environ, log.warn)
    if not config.skip_rule_apply:
        _program(config, log)
    if config.run_validation:
        from meshproxy.iptables.validation import EXIT_STATUS, ValidationError, validate

        try:
            validate(config, log)
        except ValidationError as error:
            log.error(str(error))
            return EXIT_STATUS
    return 0


def _program(config: Config, log: Log) -> None:
    if not config.dry_run:
        check_names(config)
        if config.cni_mode:
            from meshproxy.iptables.namespace import hide_name_services

            hide_name_services(log.warn)
    if config.native_nftables:
        from meshproxy.iptables.nft_apply import program_nftables

        program_nftables(config, log)
    else:
        from meshproxy.iptables.apply import program_iptables

        program_iptables(config, log)
