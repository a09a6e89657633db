"""What is in force against overload, for those who act on it. Whether it is, overload_manager.py decides."""

from collections.abc import Callable
from random import random
from typing import TYPE_CHECKING

from meshproxy.observe.stats import StatGroup

if TYPE_CHECKING:
    from meshproxy.downstream.http_manager import HttpManager

ACTION = "envoy.overload_actions."
POINT = "envoy.load_shed_points."

ACTIONS = frozenset(
    f"{ACTION}{name}"
    for name in (
        "close_idle_http_connections", "disable_http_keepalive", "reduce_timeouts", "reject_incoming_connections",
        "reset_high_memory_stream", "shrink_heap", "stop_accepting_connections", "stop_accepting_requests",
    )
)  # fmt: skip


class ActionStats(StatGroup):
    """`overload.<action>.*`."""

    GAUGES = ("active", "scale_percent")

    __slots__ = GAUGES


class PointStats(StatGroup):
    """`overload.<load shed point>.*`."""

    COUNTERS = ("shed_load_count",)
    GAUGES = ("scale_percent",)

    __slots__ = (*COUNTERS, *GAUGES)


class Action:
    """An action or a load shed point. value: from 0, which is off, to 1; in between it is left to chance."""

    __slots__ = ("_changed", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self._changed: list[Callable[[float], None]] = []

    def on_change(self, changed: Callable[[float], None]) -> None:
        """`changed(value)` is called whenever the value is another one."""
        self._changed.append(changed)

    def put(self, value: float) -> None:
        if value != self.value:
            self.value = value
            for changed in self._changed:
                changed(value)

    def strikes(self) -> bool:
        """Whether it does so this time."""
        return self.value > 0 and (self.value >= 1 or random() < self.value)


class ShedPoint(Action):
    """It counts how often it struck."""

    __slots__ = ("stats",)

    def __init__(self) -> None:
        super().__init__()
        self.stats = PointStats()

    def strikes(self) -> bool:
        if not super().strikes():
            return False
        self.stats.shed_load_count += 1
        return True


class Overload:
    """Everything that is configured, by its full name."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}
        # Timers that reduce_timeouts scales: what a timeout of so many seconds may come down to.
        self.scaled_timers: dict[str, tuple[Action, Callable[[float], float]]] = {}
        # reset_high_memory_stream: streams that hold less than this are left alone. Bytes.
        self.least_memory = 0
        # Whose streams those are.
        self.managers: list[HttpManager] = []

    def action(self, name: str) -> Action | None:
        return self.actions.get(ACTION + name)

    def point(self, name: str) -> Action | None:
        return self.actions.get(POINT + name)

    def either(self, *actions: Action | None) -> Callable[[], bool] | None:
        """Whether one of these strikes; None where none is configured."""
        found = [action for action in actions if action is not None]
        if not found:
            return None
        return found[0].strikes if len(found) == 1 else lambda: any(action.strikes() for action in found)

    def values(self) -> dict[str, float]:
        return {name: action.value for name, action in self.actions.items()}

    def put(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.actions[name].put(value)
