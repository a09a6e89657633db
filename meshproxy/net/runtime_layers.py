"""Where runtime values come from: layers that the configuration fixes, directories, and what an operator sets.

A directory belongs to a layer through a symbolic link that is swapped as a whole (`mv -T`): whoever watches the link
sees all new values at once. Envoy's rule holds: one file that cannot be read costs the layer that it is in.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshproxy.net.runtime import Entry, Layer, Runtime, parse_entry
from meshproxy.observe.server_stats import RuntimeStats

_log = logging.getLogger("runtime")

# Deeper than this nobody looks; a link in a circle ends here.
_DEPTH = 16


@dataclass(slots=True)
class FixedLayer:
    """static_layer."""

    name: str
    values: Mapping[str, Entry]


@dataclass(slots=True)
class DiskLayer:
    """disk_layer. `link`: what is swapped; `directory`: where the files are."""

    name: str
    link: str
    directory: str

    def read(self) -> dict[str, Entry] | None:
        """One key for every file, dots for slashes; None without such a directory. Raises OSError, ValueError."""
        root = Path(self.directory)
        if not root.is_dir():
            return None
        values: dict[str, Entry] = {}
        _walk(root, "", values, _DEPTH)
        return values


@dataclass(slots=True)
class AdminLayer:
    """admin_layer: what /runtime_modify sets."""

    name: str
    values: dict[str, Entry] = field(default_factory=dict)


Source = FixedLayer | DiskLayer | AdminLayer


class RuntimeLayers:
    """The layers of the configuration, lowest first, and the `Runtime` that they fill."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.sources: list[Source] = []
        self.stats = RuntimeStats()

    @property
    def admin(self) -> AdminLayer | None:
        return next((source for source in self.sources if isinstance(source, AdminLayer)), None)

    @property
    def links(self) -> list[str]:
        """What has to be watched."""
        return [source.link for source in self.sources if isinstance(source, DiskLayer)]

    def load(self) -> None:
        """Reads every layer again, and puts them to use. One that cannot be read is left out."""
        layers: list[Layer] = []
        failed = False
        from_disk = 0
        for source in self.sources:
            values: Mapping[str, Entry] | None
            if isinstance(source, DiskLayer):
                try:
                    values = source.read()
                except (OSError, ValueError) as error:
                    _log.warning("error loading runtime values for layer %s from disk: %s", source.name, error)
                    failed = True
                    continue
                from_disk += values is not None
            else:
                values = source.values
            if values is not None:
                layers.append((source.name, values))
        self.runtime.set_layers(layers)
        self._count(failed, from_disk)

    def _count(self, failed: bool, from_disk: int) -> None:
        stats = self.stats
        if failed:
            stats.load_error += 1
        else:
            stats.load_success += 1
        # Envoy's words are from the days of one directory and one that overrides it.
        if from_disk > 1:
            stats.override_dir_exists += 1
        else:
            stats.override_dir_not_exists += 1
        stats.num_layers = len(self.runtime.layers)
        stats.num_keys = self.runtime.count
        if self.admin and (self.admin.values or stats.admin_overrides_active):
            stats.admin_overrides_active = int(bool(self.admin.values))

    def modify(self, changes: Mapping[str, str]) -> None:
        """Sets keys of the admin layer, and removes those whose text is empty.

        Raises LookupError where there is no such layer, ValueError for a value that is not YAML; then nothing changes.
        """
        admin = self.admin
        if admin is None:
            raise LookupError("No admin layer specified")
        parsed = {key: parse_entry(text) for key, text in changes.items() if text}
        kept = {key: entry for key, entry in admin.values.items() if key not in changes}
        admin.values = kept | parsed
        self.load()


def _walk(directory: Path, prefix: str, values: dict[str, Entry], depth: int) -> None:
    if not depth:
        raise ValueError(f"{directory} is nested too deep")
    for path in sorted(directory.iterdir()):
        key = f"{prefix}{path.name}"
        if path.is_dir():
            _walk(path, f"{key}.", values, depth - 1)
        elif path.is_file():
            try:
                values[key] = parse_entry(_text(path))
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None


def _text(path: Path) -> str:
    """Without lines that are comments and the white space at the end."""
    text = path.read_bytes().decode("utf-8", "replace").rstrip()
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def watchable(link: str) -> bool:
    """Whether the directory that holds `link` is there."""
    return os.path.isdir(os.path.dirname(link) or ".")
