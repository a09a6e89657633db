"""Watchdogs as a configuration asks for them."""

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.build_watchdogs import build_watchdogs
from meshproxy.config.view import unread
from meshproxy.observe.watchdog import WatchdogSettings


def test_main_and_workers_have_their_own() -> None:
    fields = "miss_timeout: 0.5s, megamiss_timeout: 2s, kill_timeout: 9s, max_kill_timeout_jitter: 1s"
    view = load_bootstrap(None, f"watchdogs: {{worker_watchdog: {{{fields}}}}}").view
    assert build_watchdogs(view) == (WatchdogSettings(0.2, 1.0, 0.0, 0.0), WatchdogSettings(0.5, 2.0, 9.0, 1.0))
    assert unread(view) == []


def test_the_old_field_is_about_both() -> None:
    main, worker = build_watchdogs(load_bootstrap(None, "watchdog: {miss_timeout: 0.4s}").view)
    assert main == worker == WatchdogSettings(miss=0.4)


def test_what_has_no_effect_is_named() -> None:
    view = load_bootstrap(None, "watchdogs: {main_thread_watchdog: {multikill_timeout: 1s}}").view
    build_watchdogs(view)
    assert [problem.severity for problem in unread(view)] == ["ignored"]
