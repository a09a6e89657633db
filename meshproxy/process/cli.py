"""`meshproxy`: the command line, from arguments to an exit status.

    meshproxy -c FILE ...          serve (or check, with --mode validate) an Envoy configuration
    meshproxy run -c FILE ...      the same with a name

`meshproxy wait`, `request` and `iptables` do not come this far (see __main__.py).
"""

import gc
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from meshproxy.config.errors import ConfigError
from meshproxy.process.accidents import describe
from meshproxy.process.options import Options, UsageError, parse_options


def main() -> NoReturn:
    """Runs the command line that this process was started with, and ends the process."""
    status = run(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    # Everything is closed and written. To take a large configuration apart piece by piece would only cost time.
    os._exit(status)


def run(arguments: Sequence[str]) -> int:
    """Exit status: 0 when the work was done, 1 for a command line or configuration that cannot be served."""
    given = list(arguments)
    if given[:1] == ["run"]:
        del given[0]
    if "--version" in given or "--hot-restart-version" in given:
        return _print_version(given)
    options = Options()
    try:
        options = parse_options(given)
        return _do(options)
    except UsageError as error:
        _complain(f"{error} (see meshproxy --help)")
    except ConfigError as error:
        # Lines that begin with a file and a place in it: editors know them.
        print(error, file=sys.stderr)
    except OSError as error:
        _complain(str(error))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        _complain(describe(error))
        if options.log_level in ("trace", "debug"):
            traceback.print_exc()
    return 1


def _do(options: Options) -> int:
    # Nothing of what is made until the proxy serves is garbage.
    gc.disable()
    from meshproxy.process.serve import check, serve, start_log

    log = start_log(options)
    if options.mode != "validate":
        return 0 if serve(options, log) else 1
    problems = check(options, log)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems.errors:
        return 1
    print(f"configuration '{options.config_path}' OK")
    return 0


def _print_version(given: list[str]) -> int:
    from meshproxy.process.version import version_text

    print("disabled" if "--hot-restart-version" in given else version_text())
    return 0


def _complain(text: str) -> None:
    print(f"meshproxy: {text}", file=sys.stderr)
