"""envoy.config.core.v3.DataSource: bytes that stand in the configuration, in a file or in the environment."""

import os
from dataclasses import dataclass
from pathlib import Path

from meshproxy.config.errors import ConfigError, at
from meshproxy.config.view import View


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where bytes are. `kind` is the field that says so; `inline` has them where the configuration does.

    path: of the file, or the variable's name. watched: the directory that is watched in place of the file's own, or "".
    """

    kind: str
    inline: bytes = b""
    path: str = ""
    watched: str = ""

    def read(self) -> bytes:
        """What is there now. Raises ConfigError."""
        with at(self.kind):
            if self.kind == "filename":
                return _read_file(Path(self.path))
            if self.kind == "environment_variable":
                return _read_environment(self.path)
        return self.inline


def data_source(view: View) -> DataSource:
    """The source, which can be read more than once."""
    watched = view.watched_directory.path if view.watched_directory else ""
    kind = view.which("specifier")
    if kind is None:
        raise ConfigError("Unexpected DataSource::specifier_case(): 0")
    if kind == "inline_bytes":
        return DataSource(kind, bytes(view.inline_bytes))
    if kind == "inline_string":
        return DataSource(kind, view.inline_string.encode())
    if kind == "filename":
        return DataSource(kind, path=view.filename, watched=watched)
    return DataSource(kind, path=view.environment_variable)


def read_data_source(view: View, limit: int | None = None) -> bytes:
    """Reads it once, now. `limit` in bytes, for the body of a response: longer ones are refused."""
    view.ignore("watched_directory", why="the data are read once")
    source = data_source(view)
    data = source.read()
    if limit is not None and len(data) > limit:
        with at(source.kind):
            raise ConfigError(f"response body size is {len(data)} bytes; maximum is {limit}")
    return data


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
