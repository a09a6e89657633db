"""A scenario file becomes a Scenario; whatever is misspelt is refused with the file's name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SCENARIOS = HERE / "scenarios"
DEFAULTS: dict[str, Any] = yaml.safe_load((HERE / "defaults.yaml").read_text())
# Operators of access logs: those whose values are compared as they are (`same`), and those that vary (`shape`).
OPERATORS: dict[str, list[str]] = yaml.safe_load((HERE / "operators.yaml").read_text())

CLIENT_VERBS = frozenset(
    "connect copy send request exchange get response read read_all half_close close reset idle until signal wait_for "
    "write answer lines http2 headers data trailers rst goaway settings window ping frame".split()
)
UPSTREAM_VERBS = frozenset(
    "reply request head send read read_all echo half_close close reset idle signal wait_for hang".split()
)
# Of a script that runs on one stream of an HTTP/2 connection.
H2_VERBS = frozenset(
    "reply request read headers data trailers rst goaway settings window frame echo half_close close reset idle signal "
    "wait_for hang".split()
)
CONFIG_KEYS = frozenset(
    "config listener listener_filters filter_chains default_filter_chain network_filters hcm http_filters routes "
    "virtual_hosts route_config cluster clusters runtime bootstrap log log_format log_filter every_operator tls".split()
)
OTHER_KEYS = frozenset(
    "about upstreams client client_tls copies files stats used mask mask_text differs own_process flags".split()
)
LISTENING = ("tcp", "unix", "refuse", "blackhole", "health")


class ScenarioError(Exception):
    """A scenario file that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a script does: a verb, its argument, and for the client the connection it happens on."""

    verb: str
    value: Any = None
    conn: str = "a"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpstreamScript:
    """What a scripted server does on its first, second, ... connection; the last script serves all later ones."""

    connections: tuple[tuple[Step, ...], ...]
    listen: str = "tcp"
    address: str = "127.0.0.1"
    # Settings of an upstream that speaks HTTP/2, and its scripts by connection and stream.
    http2: Mapping[Any, Any] | None = None
    streams: tuple[tuple[tuple[Step, ...], ...], ...] = ()
    paths: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    # Of one that answers health checks: what it does by name, and the upstreams whose checks come to it.
    answers: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    # How it does TLS, if it does.
    tls: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str  # path below scenarios/ without the suffix
    about: str
    text: str
    config: Mapping[str, Any]
    upstreams: Mapping[str, UpstreamScript]
    client: tuple[Step, ...]
    stats: tuple[str, ...] = ()
    used: tuple[str, ...] = ()  # stats of which only whether they are 0 is compared
    mask: tuple[str, ...] = ()
    mask_text: tuple[str, ...] = ()
    differs: Mapping[str, str] = field(default_factory=dict)
    own_process: bool = False
    flags: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # what is in `${dir}` when the proxy starts
    copies: Mapping[str, str] = field(default_factory=dict)  # the same, from files of `${pki}`
    client_tls: Mapping[str, Any] | None = None  # of connections to the listener `in`

    @property
    def area(self) -> str:
        return self.name.rpartition("/")[0]


def find(pattern: str = "") -> list[Path]:
    """Scenario files whose path below scenarios/ contains `pattern`, in order."""
    return sorted(path for path in SCENARIOS.rglob("*.yaml") if pattern in str(path.relative_to(SCENARIOS)))


@cache
def load(path: Path) -> Scenario:
    name = str(path.relative_to(SCENARIOS).with_suffix("")) if path.is_relative_to(SCENARIOS) else path.stem
    try:
        return parse(name, path.read_text())
    except (ScenarioError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from error


def parse(name: str, text: str) -> Scenario:
    # libyaml's, where it is: there are hundreds of files.
    document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(document, dict):
        raise ScenarioError("a scenario is a mapping")
    if unknown := document.keys() - CONFIG_KEYS - OTHER_KEYS:
        raise ScenarioError(f"unknown key: {', '.join(sorted(unknown))}")
    if not isinstance(document.get("about"), str):
        raise ScenarioError("`about` must say in one line what is compared")
    return Scenario(
        name=name,
        about=document["about"],
        text=text,
        config={key: value for key, value in document.items() if key in CONFIG_KEYS},
        upstreams={
            upstream: _upstream(script) for upstream, script in document.get("upstreams", DEFAULTS["upstreams"]).items()
        },
        client=_script(document.get("client", []), CLIENT_VERBS),
        stats=tuple(document.get("stats", ())),
        used=tuple(document.get("used", ())),
        mask=tuple(document.get("mask", ())),
        mask_text=tuple(document.get("mask_text", ())),
        differs=document.get("differs", {}),
        own_process=bool(document.get("own_process") or "bootstrap" in document or "flags" in document),
        flags=tuple(document.get("flags", ())),
        files=document.get("files", {}),
        copies=document.get("copies", {}),
        client_tls=document.get("client_tls"),
    )


def _upstream(script: Any) -> UpstreamScript:
    """`refuse`, `blackhole`, a list of steps, or a mapping: `steps` or `connections`, `listen`, `address`, `http2`."""
    if script in ("refuse", "blackhole"):
        return UpstreamScript(((),), script)
    if isinstance(script, list):
        return UpstreamScript((_script(script, UPSTREAM_VERBS),))
    if not isinstance(script, dict):
        raise ScenarioError(f"an upstream is refuse, blackhole, a list of steps or a mapping, not {script!r}")
    known = {"steps", "streams", "paths", "connections", "listen", "address", "http2", "answers", "checks", "tls"}
    if unknown := script.keys() - known:
        raise ScenarioError(f"unknown upstream key: {', '.join(sorted(unknown))}")
    listen = script.get("listen", "tcp")
    if listen not in LISTENING:
        raise ScenarioError(f"an upstream listens on one of {LISTENING}, not {listen!r}")
    tls = script.get("tls")
    if "http2" in script:
        return replace(_http2_upstream(script, listen), tls=tls)
    connections = script.get("connections", [script.get("steps", [])])
    steps = tuple(_script(steps, UPSTREAM_VERBS) for steps in connections)
    answers = {name: _script(answer, UPSTREAM_VERBS) for name, answer in script.get("answers", {}).items()}
    if bool(answers) != (listen == "health"):
        raise ScenarioError("an upstream with `listen: health` has `answers`, and no other")
    checks = tuple(script.get("checks", ()))
    return UpstreamScript(steps, listen, script.get("address", "127.0.0.1"), answers=answers, checks=checks, tls=tls)


def _http2_upstream(script: Any, listen: str) -> UpstreamScript:
    """`steps` are of every stream, `streams` of the first, second, ...; a list of such lists for `connections`.

    `paths` has scripts for requests of one path.
    """
    streams = [script["streams"]] if "streams" in script else [[script.get("steps", [])]]
    by_connection = tuple(
        tuple(_script(steps, H2_VERBS) for steps in scripts) for scripts in script.get("connections", streams)
    )
    options = script["http2"] or {}
    paths = {path: _script(steps, H2_VERBS) for path, steps in script.get("paths", {}).items()}
    return UpstreamScript((), listen, script.get("address", "127.0.0.1"), options, by_connection, paths)


def _script(steps: Any, verbs: frozenset[str]) -> tuple[Step, ...]:
    if not isinstance(steps, list):
        raise ScenarioError(f"a script is a list of steps, not {steps!r}")
    return tuple(_step(step, verbs) for step in steps)


def _step(step: Any, verbs: frozenset[str]) -> Step:
    """`verb` alone, or a mapping with one verb and its options (`conn`, `to`, `timeout`)."""
    if isinstance(step, str):
        step = {step: None}
    found = [key for key in step if key in verbs] if isinstance(step, dict) else []
    if len(found) != 1:
        raise ScenarioError(f"a step has exactly one verb of {', '.join(sorted(verbs))}: {step!r}")
    options = {key: value for key, value in step.items() if key != found[0]}
    known = {"conn", "to", "source", "listener", "end", "with_trailers", "last", "stream", "tls"}
    if unknown := options.keys() - known:
        raise ScenarioError(f"unknown option {', '.join(sorted(unknown))} in step {step!r}")
    return Step(found[0], step[found[0]], options.pop("conn", "a"), options)


def wire_text(text: str) -> str:
    """A message as people write it (LF line ends, empty line, body) as it goes on the wire."""
    head, blank, body = text.partition("\n\n")
    return head.rstrip("\n").replace("\n", "\r\n") + "\r\n\r\n" + (body if blank else "")
