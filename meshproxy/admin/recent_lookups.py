"""/stats/recentlookups: names of stats that were looked up while requests were served. None ever are, here."""

from meshproxy.admin.pages import Answer, Request, page
from meshproxy.admin.server_view import Server

_OFF = "Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n"
_ON = "   Count Lookup\n"


class _Tracking:
    """Whether it was asked for."""

    enabled = False


_tracking = _Tracking()


@page("/stats/recentlookups", "Show recent stat-name lookups")
def recent_lookups(_server: Server, _request: Request) -> Answer:
    return Answer(f"{_ON if _tracking.enabled else _OFF}\ntotal: 0\n")


@page("/stats/recentlookups/clear", "clear list of stat-name lookups and counter", changes=True)
def clear(_server: Server, _request: Request) -> Answer:
    return Answer("OK\n")


@page("/stats/recentlookups/disable", "disable recording of reset stat-name lookup names", changes=True)
def disable(_server: Server, _request: Request) -> Answer:
    _tracking.enabled = False
    return Answer("OK\n")


@page("/stats/recentlookups/enable", "enable recording of reset stat-name lookup names", changes=True)
def enable(_server: Server, _request: Request) -> Answer:
    _tracking.enabled = True
    return Answer("OK\n")
