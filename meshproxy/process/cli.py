"""`meshproxy`: the command line, from arguments to an exit status.

    meshproxy -c FILE ...          serve (or check, with --mode validate) an Envoy configuration
    meshproxy run -c FILE ...      the same with a name
"""

import sys
from collections.abc import Sequence

from meshproxy.config.bootstrap import Loaded, load_bootstrap
from meshproxy.config.errors import ConfigError
from meshproxy.process.options import Options, UsageError, parse_options
from meshproxy.process.version import version_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when the work was done, 1 for a command line or configuration that cannot be served."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["run"]:
        del given[0]
    if "--version" in given or "--hot-restart-version" in given:
        print("disabled" if "--hot-restart-version" in given else version_text())
        return 0
    try:
        options = parse_options(given)
        loaded = load_bootstrap(options.config_path, options.config_yaml, options.allow_unknown_static_fields)
        return _validate(options, loaded) if options.mode == "validate" else _serve(options, loaded)
    except UsageError as error:
        print(f"meshproxy: {error} (see meshproxy --help)", file=sys.stderr)
    except ConfigError as error:
        print(error, file=sys.stderr)
    return 1


def _serve(options: Options, loaded: Loaded) -> int:
    from meshproxy.process.serve import serve

    return serve(options, loaded)


def _validate(options: Options, loaded: Loaded) -> int:
    from meshproxy.process.serve import check

    check(options, loaded)
    for problem in loaded.problems.ignored:
        print(problem, file=sys.stderr)
    loaded.problems.check()
    print(f"configuration '{options.config_path}' OK")
    return 0
