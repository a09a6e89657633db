"""envoy.config.bootstrap.v3.LayeredRuntime: the layers of runtime values, lowest first."""

from typing import Any

from meshproxy.config.errors import ConfigError
from meshproxy.config.structs import flatten, struct_dict
from meshproxy.config.view import View
from meshproxy.net.runtime import entry_of
from meshproxy.net.runtime_layers import AdminLayer, DiskLayer, FixedLayer, Source, watchable


def build_runtime(view: View, service_cluster: str) -> list[Source]:
    """`view`: the LayeredRuntime. `service_cluster`: node.cluster, which disk layers may ask for."""
    sources: list[Source] = []
    for i, layer in enumerate(view.layers):
        with view.at("layers", i):
            if any(layer.name == source.name for source in sources):
                raise ConfigError(f"Duplicate layer name: {layer.name}")
            sources.append(_build_layer(layer, service_cluster))
    if sum(isinstance(source, AdminLayer) for source in sources) > 1:
        raise ConfigError("Too many admin layers specified in LayeredRuntime, at most one may be specified")
    return sources


def _build_layer(layer: View, service_cluster: str) -> Source:
    kind = layer.which("layer_specifier")
    if kind == "static_layer":
        values = flatten(struct_dict(layer.static_layer.take()))
        return FixedLayer(layer.name, {key: entry_of(_checked(key, value)) for key, value in values.items()})
    if kind == "disk_layer":
        return _disk_layer(layer.name, layer.disk_layer, service_cluster)
    if kind == "rtds_layer":
        layer.reject("rtds_layer", "runtime discovery (xDS) is not supported yet")
    layer.admin_layer.take()
    return AdminLayer(layer.name)


def _checked(key: str, value: Any) -> Any:
    if value is None or isinstance(value, list):
        raise ConfigError(f"Invalid runtime entry value for {key}")
    return value


def _disk_layer(name: str, disk: View, service_cluster: str) -> DiskLayer:
    link = disk.symlink_root
    if not link:
        raise ConfigError(f"invalid file path {link}")
    if not watchable(link):
        raise ConfigError(f"unable to add filesystem watch for file {link}: No such file or directory")
    directory = f"{link}/{disk.subdirectory}"
    return DiskLayer(name, link, f"{directory}/{service_cluster}" if disk.append_service_cluster else directory)
