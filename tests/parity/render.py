"""Scenarios become one Envoy bootstrap.

Several scenarios share one process, so every name that Envoy keeps globally (clusters, listeners, stat prefixes) gets
the scenario's id in front; `normalise` takes it off again.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .scenario import DEFAULTS, OPERATORS, Scenario, ScenarioError, UpstreamScript
from .tls import pki_folder

TYPE = "type.googleapis.com/"
GLOBAL_NAMES = frozenset({"cluster", "stat_prefix", "alt_stat_name"})
KIBIBYTES = re.compile(r"\$\{kib:(\d+)\}")
FLUSH_PREFIX = "parity_flush"


@dataclass(frozen=True, slots=True)
class Stage:
    """What one scenario needs to run in one process: its id, the ports it was given, its folder."""

    scenario: Scenario
    id: str
    ports: Mapping[str, int]
    folder: Path

    def fill(self, text: str) -> str:
        """Put the id, the ports, the folder and long bodies in the places `${...}` of a script or a config value."""
        if "${" not in text:
            return text
        text = fill_pki(text.replace("${id}", self.id).replace("${dir}", str(self.folder)))
        for name, port in self.ports.items():
            text = text.replace(f"${{port:{name}}}", str(port))
        return KIBIBYTES.sub(lambda found: "x" * 1024 * int(found[1]), text)


def fill_pki(text: str) -> str:
    """Certificates are made when somebody asks for the first."""
    return text.replace("${pki}", str(pki_folder())) if "${pki}" in text else text


def bootstrap(stages: Iterable[Stage], log: Path, flush_port: int) -> dict[str, Any]:
    """The one configuration that runs all `stages`; their access logs go to `log`."""
    listeners, clusters = [_flush_listener(log, flush_port)], []
    runtime: dict[str, Any] = {}
    top: dict[str, Any] = {}
    for stage in stages:
        rendered = _fill(_render(stage.scenario, log, stage), stage)
        listeners += [_rename(listener, stage.id, top=True) for listener in rendered["listeners"]]
        clusters += [_rename(cluster, stage.id, top=True) for cluster in rendered["clusters"]]
        _add_runtime(runtime, stage)
        top = merge(top, _fill(stage.scenario.config.get("bootstrap", {}), stage))
    base = {
        "admin": {"address": _address("127.0.0.1", 0)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": runtime}]},
    }
    return merge(base, top)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`: mappings merge, everything else replaces; null takes a key away."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _add_runtime(runtime: dict[str, Any], stage: Stage) -> None:
    scenario = stage.scenario
    for name, value in scenario.config.get("runtime", {}).items():
        key = stage.fill(name)
        if runtime.setdefault(key, value) != value:
            raise ScenarioError(f"{scenario.name}: runtime key {key} has another value in this area: use own_process")


def _render(scenario: Scenario, log: Path, stage: Stage) -> dict[str, Any]:
    config = scenario.config
    access_log = _access_log(config, log, stage.id)
    if "config" in config:
        return {key: _expand(config["config"].get(key, []), access_log, config) for key in ("listeners", "clusters")}
    serving = {name: upstream for name, upstream in scenario.upstreams.items() if not upstream.answers}
    clusters = {name: _cluster(name, upstream, stage) for name, upstream in serving.items()}
    clusters = {name: merge(cluster, config.get("cluster", {})) for name, cluster in clusters.items()}
    for name, override in config.get("clusters", {}).items():
        clusters[name] = merge(clusters.get(name, {"name": name, **DEFAULTS["cluster"]}), override)
    return {
        "listeners": _expand([_listener(config)], access_log, config),
        "clusters": _expand(list(clusters.values()), access_log, config),
    }


def _listener(config: Mapping[str, Any]) -> dict[str, Any]:
    listener: dict[str, Any] = dict(DEFAULTS["listener"])
    if "listener_filters" in config:
        listener["listener_filters"] = config["listener_filters"]
    listener["filter_chains"] = config.get("filter_chains") or [
        {"filters": config.get("network_filters", ["http_connection_manager"])}
        | ({"tls": config["tls"]} if "tls" in config else {})
    ]
    if "default_filter_chain" in config:
        listener["default_filter_chain"] = config["default_filter_chain"]
    return merge(listener, config.get("listener", {}))


def _manager(config: Mapping[str, Any], access_log: list[Any]) -> dict[str, Any]:
    hosts = config.get("virtual_hosts") or [
        {"name": "all", "domains": ["*"], "routes": config.get("routes", DEFAULTS["routes"])}
    ]
    table = merge({**DEFAULTS["route_config"], "virtual_hosts": hosts}, config.get("route_config", {}))
    manager = {
        **DEFAULTS["hcm"],
        "route_config": table,
        "http_filters": [*config.get("http_filters", []), "router"],
        "access_log": access_log,
    }
    return merge(manager, config.get("hcm", {}))


def _cluster(name: str, upstream: UpstreamScript, stage: Stage) -> dict[str, Any]:
    if upstream.listen == "unix":
        address: dict[str, Any] = {"pipe": {"path": f"{stage.folder}/{name}.sock"}}
    else:
        address = _address(upstream.address, stage.ports[name])
    endpoint: dict[str, Any] = {"address": address}
    for checked, script in stage.scenario.upstreams.items():
        if name in script.checks:
            endpoint["health_check_config"] = {"port_value": stage.ports[checked]}
    endpoints = [{"lb_endpoints": [{"endpoint": endpoint}]}]
    return {"name": name, **DEFAULTS["cluster"], "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _every_operator(config: Mapping[str, Any]) -> list[str]:
    return [*OPERATORS["same"], *OPERATORS["shape"]] if config.get("every_operator") else []


def _access_log(config: Mapping[str, Any], log: Path, id: str) -> list[Any]:
    every = {name: f"%{name}%" for name in _every_operator(config)}
    formatting = config.get("log_format", {"json_format": {**(every or DEFAULTS["log"]), **config.get("log", {})}})
    if isinstance(formatting, str):
        formatting = {"text_format_source": {"inline_string": formatting}}
    if "json_format" in formatting:
        formatting = merge(formatting, {"json_format": {"scenario": id}})
    elif "text_format_source" in formatting:
        text = f"{id} {formatting['text_format_source']['inline_string']}\n"
        formatting = merge(formatting, {"text_format_source": {"inline_string": text}})
    entry = {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(log),
            "log_format": formatting,
        },
    }
    return [{**entry, "filter": config["log_filter"]} if "log_filter" in config else entry]


def _expand(node: Any, access_log: list[Any], config: Mapping[str, Any], key: str = "") -> Any:
    """Write the short forms out: extensions by short name, `access_log: default`, a cluster's `http`."""
    if isinstance(node, list):
        if key in ("filters", "http_filters", "listener_filters"):
            kind = "network_filters" if key == "filters" else key
            node = [_extension(item, kind, access_log, config) for item in node]
        return [_expand(item, access_log, config) for item in node]
    if not isinstance(node, Mapping):
        return access_log if key in ("access_log", "upstream_log") and node == "default" else node
    if key == "typed_per_filter_config":
        node = dict(_per_route(name, value) for name, value in node.items())
    if "http" in node and "load_assignment" in node:
        options = {"@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions", **node["http"]}
        node = {name: value for name, value in node.items() if name != "http"} | {
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
        }
    if "tls" in node and ("filters" in node or "load_assignment" in node or "match" in node):
        socket = _tls_socket(node["tls"], server="filters" in node)
        node = {name: value for name, value in node.items() if name != "tls"} | {"transport_socket": socket}
    return {name: _expand(value, access_log, config, name) for name, value in node.items()}


_FILES = (("certificate_chain", "pem"), ("private_key", "key"))


def _tls_socket(fields: Mapping[str, Any], *, server: bool) -> dict[str, Any]:
    """`tls` of a filter chain, cluster or transport_socket_match. `certificate: NAME` stands for one in `${pki}`."""
    fields = dict(fields)
    common = dict(fields.pop("common_tls_context", {}))
    default = "server" if server and not any("certificate" in key for key in common) else None
    names = fields.pop("certificate", default)
    if names is not None:
        common["tls_certificates"] = [
            {field: {"filename": f"${{pki}}/{of}.{end}"} for field, end in _FILES}
            for of in ([names] if isinstance(names, str) else names)
        ]
    if "ca" in fields:
        trusted = {"trusted_ca": {"filename": f"${{pki}}/{fields.pop('ca')}.pem"}}
        common["validation_context"] = {**trusted, **common.get("validation_context", {})}
    kind = "DownstreamTlsContext" if server else "UpstreamTlsContext"
    config = {"@type": f"{TYPE}envoy.extensions.transport_sockets.tls.v3.{kind}", **fields}
    return {"name": "envoy.transport_sockets.tls", "typed_config": config | {"common_tls_context": common}}


def _extension(item: Any, kind: str, access_log: list[Any], config: Mapping[str, Any]) -> Any:
    """`short`, or `short: {fields}`; a mapping with a `name` is already written out."""
    if isinstance(item, Mapping) and "name" in item:
        return item
    short, fields = (item, {}) if isinstance(item, str) else next(iter(item.items()))
    if not isinstance(item, str) and short not in DEFAULTS[kind]:
        return item  # `filters` of something else, such as an access log's and_filter
    if short not in DEFAULTS[kind]:
        raise ScenarioError(f"no {kind} of the name {short} in defaults.yaml")
    if short == "http_connection_manager":
        fields = merge(_manager(config, access_log), fields)
    elif short == "tcp_proxy":
        fields = {"stat_prefix": "in", "access_log": access_log, **fields}
    group = {"network_filters": "network", "http_filters": "http", "listener_filters": "listener"}[kind]
    return {"name": f"envoy.filters.{group}.{short}", "typed_config": {"@type": TYPE + DEFAULTS[kind][short], **fields}}


def _per_route(name: str, fields: Any) -> tuple[str, Any]:
    if name not in DEFAULTS["per_route"] or "@type" in fields:
        return name, fields
    return f"envoy.filters.http.{name}", {"@type": TYPE + DEFAULTS["per_route"][name], **fields}


def _fill(node: Any, stage: Stage) -> Any:
    if isinstance(node, str):
        text = stage.fill(node)
        return int(text) if node.startswith("${port:") and text.isdecimal() else text
    if isinstance(node, Mapping):
        return {stage.fill(str(key)): _fill(value, stage) for key, value in node.items()}
    return [_fill(item, stage) for item in node] if isinstance(node, list) else node


def _rename(node: Any, id: str, top: bool = False, weighted: bool = False) -> Any:
    """Put the id in front of every name that lives in the process and not in its parent message."""
    if isinstance(node, list):
        return [_rename(item, id, weighted=weighted) for item in node]
    if not isinstance(node, Mapping):
        return node
    renamed = {}
    for key, value in node.items():
        if isinstance(value, str) and (key in GLOBAL_NAMES or (key == "name" and (top or weighted))):
            renamed[key] = value if value.startswith(id) else id + value
        else:
            renamed[key] = _rename(value, id, weighted=key == "weighted_clusters" or (weighted and key == "clusters"))
    return renamed


def _flush_listener(log: Path, port: int) -> dict[str, Any]:
    """Answers 200 and logs one line: when that line is in the file, all lines before it are."""
    entry = _access_log({"log_format": "%REQ(X-MARK)%"}, log, FLUSH_PREFIX)
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    manager = {
        "@type": TYPE + DEFAULTS["network_filters"]["http_connection_manager"],
        "stat_prefix": FLUSH_PREFIX,
        "access_log": entry,
        "http_filters": [_extension("router", "http_filters", [], {})],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": FLUSH_PREFIX, "address": _address("127.0.0.1", port), "filter_chains": [{"filters": filters}],
        "bypass_overload_manager": True, "ignore_global_conn_limit": True,
    }  # fmt: skip


def to_json(config: Mapping[str, Any]) -> str:
    """JSON is YAML, and both proxies read it."""
    return json.dumps(config, indent=1)
