"""Pages of Envoy that ask about things there are none of here; they answer as an Envoy without them does."""

from meshproxy.admin.pages import JSON, Answer, Make, Request, page
from meshproxy.admin.plain import dump
from meshproxy.admin.server_view import Server

_NO_TRACKING = "Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n\ntotal: 0\n"


@page("/hot_restart_version", "print the hot restart compatibility version")
def hot_restart_version(_server: Server, _request: Request) -> Answer:
    return Answer("disabled")


@page("/contention", "dump current Envoy mutex contention stats (if enabled)")
def contention(_server: Server, _request: Request) -> Answer:
    return Answer("Mutex contention tracing is not enabled. To enable, run Envoy with flag --enable-mutex-tracing.")


@page(
    "/init_dump",
    "dump current Envoy init manager information (experimental)",
    ("mask", "The desired component to dump unready targets. The mask is parsed as a Protobuf::FieldMask."),
)
def init_dump(_server: Server, _request: Request) -> Answer:
    return Answer(dump({}), content_type=JSON)


@page("/stats/recentlookups", "Show recent stat-name lookups")
def recent_lookups(_server: Server, _request: Request) -> Answer:
    return Answer(_NO_TRACKING)


def _refuse(what: str) -> Make:
    return lambda _server, _request: Answer(f"{what} is not supported in this build\n", 501)


for _path, _what in (
    ("/allocprofiler", "the allocation profiler"),
    ("/cpuprofiler", "the CPU profiler"),
    ("/heapprofiler", "the heap profiler"),
):
    page(_path, f"enable/disable {_what} (not supported)", changes=True)(_refuse(_what))
for _path in ("/heap_dump", "/peak_heap_dump", "/memory/tcmalloc"):
    page(_path, "dump the heap (not supported)")(_refuse("a heap dump"))
