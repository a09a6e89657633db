"""envoy.config.bootstrap.v3.Watchdogs."""

from meshproxy.config.view import View
from meshproxy.observe.watchdog import WatchdogSettings

_IGNORED = {
    "actions": "what a watchdog does is to count, to print a traceback and to end the process",
    "multikill_timeout": "processes that hang are ended one by one: kill_timeout",
    "multikill_threshold": "processes that hang are ended one by one: kill_timeout",
}


def build_watchdogs(view: View) -> tuple[WatchdogSettings, WatchdogSettings]:
    """That of main and that of the workers."""
    if view.watchdogs:
        return _build(view.watchdogs.main_thread_watchdog), _build(view.watchdogs.worker_watchdog)
    # The old field, which is about both.
    both = _build(view.watchdog)
    return both, both


def _build(view: View) -> WatchdogSettings:
    for name, why in _IGNORED.items():
        view.ignore(name, why=why)
    default = WatchdogSettings()
    return WatchdogSettings(
        miss=view.get("miss_timeout", default.miss) or default.miss,
        mega_miss=view.get("megamiss_timeout", default.mega_miss) or default.mega_miss,
        kill=view.get("kill_timeout", 0.0),
        jitter=view.get("max_kill_timeout_jitter", 0.0),
    )
