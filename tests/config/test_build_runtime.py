"""Layers of runtime values, from the configuration."""

from pathlib import Path
from typing import Any

import pytest

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.build_runtime import build_runtime
from meshproxy.config.errors import ConfigError
from meshproxy.net.runtime import Runtime
from meshproxy.net.runtime_layers import RuntimeLayers


def loaded(layers: str, cluster: str = "") -> Runtime:
    view: Any = load_bootstrap(None, f"layered_runtime: {{layers: [{layers}]}}").view.layered_runtime
    made = RuntimeLayers(Runtime())
    made.sources = build_runtime(view, cluster)
    made.load()
    return made.runtime


def test_layers_in_their_order() -> None:
    runtime = loaded(
        "{name: low, static_layer: {a: {b: 1, c: x}, f: {numerator: 5, denominator: MILLION}}},"
        " {name: high, static_layer: {a.b: 2, envoy.reloadable_features.nobody_knows_this: true}},"
        " {name: mine, admin_layer: {}}"
    )
    assert [name for name, _ in runtime.layers] == ["low", "high", "mine"]
    assert runtime.integer("a.b", 0) == 2
    assert (fraction := runtime.get("f")) is not None and fraction.fraction == (5, 1_000_000)
    assert runtime.boolean("envoy.reloadable_features.nobody_knows_this", False)


def test_directories(tmp_path: Path) -> None:
    (tmp_path / "envoy" / "web").mkdir(parents=True)
    (tmp_path / "envoy" / "web" / "k").write_text("5")
    where = f"symlink_root: {tmp_path}, subdirectory: envoy"
    own = f"{{name: own, disk_layer: {{{where}, append_service_cluster: true}}}}"
    runtime = loaded(f"{{name: disk, disk_layer: {{{where}}}}}, {own}", "web")
    assert [(name, list(values)) for name, values in runtime.layers] == [("disk", ["web.k"]), ("own", ["k"])]


@pytest.mark.parametrize(
    "layers, reason",
    [
        ("{name: a, static_layer: {}}, {name: a, static_layer: {}}", "Duplicate layer name: a"),
        ("{name: a, admin_layer: {}}, {name: b, admin_layer: {}}", "Too many admin layers"),
        ("{name: a, rtds_layer: {name: x}}", "runtime discovery"),
        ("{name: a, static_layer: {k: [1]}}", "Invalid runtime entry value for k"),
        ("{name: a, static_layer: {k: null}}", "Invalid runtime entry value for k"),
        ("{name: a, disk_layer: {subdirectory: x}}", "invalid file path "),
        ("{name: a, disk_layer: {symlink_root: /nowhere/current}}", "filesystem watch for file /nowhere/current"),
    ],
)
def test_layers_that_cannot_be(layers: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        loaded(layers)
