"""envoy.config.core.v3.DataSource: bytes that stand in the configuration, in a file or in the environment."""

import os
from pathlib import Path

from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View


def read_data_source(view: View, limit: int | None = None) -> bytes:
    """Reads it once, now. `limit` in bytes, for the body of a response: longer ones are refused."""
    view.ignore("watched_directory", why="the data are read once")
    kind = view.which("specifier")
    if kind is None:
        raise ConfigError("Unexpected DataSource::specifier_case(): 0")
    with view.at(kind):
        if kind == "inline_bytes":
            data = view.inline_bytes
        elif kind == "inline_string":
            data = view.inline_string.encode()
        elif kind == "filename":
            data = _read_file(Path(view.filename))
        else:
            data = _read_environment(view.environment_variable)
        if limit is not None and len(data) > limit:
            raise ConfigError(f"response body size is {len(data)} bytes; maximum is {limit}")
    return bytes(data)


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"file {path} does not exist") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None


def _read_environment(name: str) -> bytes:
    value = os.environ.get(name)
    if value is None:
        raise ConfigError(f"Environment variable doesn't exist: {name}")
    return value.encode("utf-8", "surrogateescape")
