"""The overload manager as a configuration asks for it, and what Envoy would refuse."""

import asyncio
from pathlib import Path

import pytest

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.build_overload import build_overload
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import unread
from meshproxy.downstream.overload_manager import OverloadManager

MONITORS = "'@type': type.googleapis.com/envoy.extensions.resource_monitors"
TIMERS = "'@type': type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig"
HIGH = "{name: m, threshold: {value: 0.9}}"
STOP = "envoy.overload_actions.stop_accepting_requests"
REDUCE = "envoy.overload_actions.reduce_timeouts"
ACCEPT = "envoy.load_shed_points.tcp_listener_accept"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pressure"
    path.write_text("0")
    return path


def build(file: Path, rest: str, monitors: str = "") -> tuple[OverloadManager, Context, list[str]]:
    monitor = f"{{name: m, typed_config: {{{MONITORS}.injected_resource.v3.InjectedResourceConfig, filename: {file}}}}}"
    view = load_bootstrap(None, f"overload_manager: {{resource_monitors: [{monitor}{monitors}], {rest}}}").view
    ctx = Context(asyncio.new_event_loop())
    manager = build_overload(view.overload_manager, ctx)
    return manager, ctx, [str(problem) for problem in unread(view)]


def action(name: str, triggers: str = HIGH, rest: str = "") -> str:
    return f"{{name: {name}, triggers: [{triggers}]{rest}}}"


def scaling(*timers: str) -> str:
    return f", typed_config: {{{TIMERS}, timer_scale_factors: [{', '.join(timers)}]}}"


IDLE = "{timer: HTTP_DOWNSTREAM_CONNECTION_IDLE, min_timeout: 2s}"


def test_actions_and_points(file: Path) -> None:
    scaled = "{name: m, scaled: {scaling_threshold: 0.5, saturation_threshold: 0.7}}"
    manager, ctx, problems = build(
        file,
        f"actions: [{action(STOP, scaled)}, {action(REDUCE, HIGH, scaling(IDLE))}],"
        f"loadshed_points: [{action(ACCEPT)}],"
        "refresh_interval: 0.25s, buffer_factory_config: {minimum_account_to_track_power_of_two: 20}",
    )
    assert problems == []
    assert manager.interval == 0.25
    assert list(manager.triggers) == [STOP, REDUCE, ACCEPT] == list(ctx.overload.actions)
    assert [(each.scaling, each.saturation) for each in manager.triggers[STOP]] == [(0.5, 0.7)]
    assert ctx.overload.least_memory == 1 << 20
    prefixes = {prefix for prefix, _ in ctx.stats.groups()}
    assert {"overload.m", f"overload.{STOP}", f"overload.{ACCEPT}", "overload"} <= prefixes


def test_what_timeouts_come_down_to(file: Path) -> None:
    stream = "{timer: HTTP_DOWNSTREAM_STREAM_IDLE, min_scale: {value: 10}}"
    _, ctx, _ = build(file, f"actions: [{action(REDUCE, HIGH, scaling(IDLE))}, {action('x', HIGH, scaling(stream))}]")
    timers = ctx.overload.scaled_timers
    least = timers["HTTP_DOWNSTREAM_CONNECTION_IDLE"][1]
    assert (least(60.0), least(1.0)) == (2.0, 1.0)
    assert timers["HTTP_DOWNSTREAM_STREAM_IDLE"][1](300.0) == 30.0


def test_the_limit_of_all_connections(file: Path) -> None:
    name = "envoy.resource_monitors.global_downstream_max_connections"
    config = f"{MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig, max_active_downstream_connections: 7"
    _, ctx, problems = build(file, "", f", {{name: {name}, typed_config: {{{config}}}}}")
    assert problems == []
    assert ctx.connections.allowed.maximum == 7


@pytest.mark.parametrize(
    ("rest", "warning"),
    [
        (f"loadshed_points: [{action('foo')}]", "there is no load shed point foo here"),
        (f"actions: [{action('envoy.overload_actions.close_idle_http_connections')}]", "it does nothing to HTTP/1"),
        (
            f"actions: [{action(REDUCE, HIGH, scaling('{timer: TRANSPORT_SOCKET_CONNECT, min_timeout: 1s}'))}]",
            "there are no timers of the kind TRANSPORT_SOCKET_CONNECT yet",
        ),
    ],
)
def test_what_has_no_effect_is_named(file: Path, rest: str, warning: str) -> None:
    _, _, (problem,) = build(file, rest)
    assert "ignored" in problem
    assert warning in problem


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (f"actions: [{action('foo')}]", "Unknown Overload Manager Action foo"),
        (f"actions: [{action(STOP)}, {action(STOP)}]", f"Duplicate overload action {STOP}"),
        (
            f"actions: [{action(STOP, '{name: x, threshold: {value: 1}}')}]",
            f"Unknown trigger resource x for overload action {STOP}",
        ),
        (f"actions: [{action(STOP, f'{HIGH}, {HIGH}')}]", f"Duplicate trigger resource for overload action {STOP}"),
        (
            f"actions: [{action(STOP, '{name: m, scaled: {scaling_threshold: 0.9, saturation_threshold: 0.9}}')}]",
            "scaling_threshold must be less than saturation_threshold",
        ),
        (
            f"actions: [{action('envoy.overload_actions.reset_high_memory_stream')}]",
            'Overload action "envoy.overload_actions.reset_high_memory_stream" requires buffer_factory_config.',
        ),
        (f"actions: [{action(REDUCE)}]", f'Overload action "{REDUCE}" requires typed_config'),
        (
            f"actions: [{action(STOP, HIGH, scaling(IDLE))}]",
            f'Overload action name "{STOP}" conflicts with its typed config',
        ),
        (
            f"actions: [{action(REDUCE, HIGH, scaling(IDLE, IDLE))}]",
            "Found duplicate entry for timer type HTTP_DOWNSTREAM_CONNECTION_IDLE",
        ),
        (
            f"actions: [{action(REDUCE, HIGH, scaling(IDLE))}, {action('x', HIGH, scaling(IDLE))}]",
            f'Timer type is configured by both overload actions "{REDUCE}" and "x"',
        ),
        (f"loadshed_points: [{action(ACCEPT)}, {action(ACCEPT)}]", f"Duplicate loadshed point {ACCEPT}"),
        (
            f"loadshed_points: [{action(ACCEPT, '{name: x, threshold: {value: 1}}')}]",
            f"Unknown trigger resource x for loadshed point {ACCEPT}",
        ),
        (f"loadshed_points: [{action(ACCEPT, f'{HIGH}, {HIGH}')}]", "Duplicate trigger resource for LoadShedPoint"),
        (
            f"actions: [{action(STOP)}], loadshed_points: [{action(STOP)}]",
            f'Load shed point "{STOP}" conflicts with an overload action of the same name',
        ),
    ],
)
def test_what_envoy_refuses(file: Path, rest: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(file, rest)
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("monitor", "reason"),
    [
        ("name: m, typed_config: {%s.cgroup_memory.v3.CgroupMemoryConfig}", "Duplicate resource monitor m"),
        (
            "name: h, typed_config: {%s.fixed_heap.v3.FixedHeapConfig}",
            "fixed_heap: max heap size must be greater than 0",
        ),
        (
            "name: i, typed_config: {%s.injected_resource.v3.InjectedResourceConfig, filename: /nowhere/p}",
            "unable to add filesystem watch for file /nowhere/p: No such file or directory",
        ),
        (
            "name: c, typed_config: {%s.downstream_connections.v3.DownstreamConnectionsConfig,"
            " max_active_downstream_connections: 1}",
            "Didn't find a registered implementation for 'c' with type URL",
        ),
    ],
)
def test_monitors_that_envoy_refuses(file: Path, monitor: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(file, "", f", {{{monitor % MONITORS}}}")
    assert reason in str(raised.value)
