"""Pages of Envoy that ask about things there are none of here; they answer as an Envoy without them does."""

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Make, Request, page
from meshproxy.admin.server_view import Server


@page("/hot_restart_version", "print the hot restart compatibility version")
def hot_restart_version(_server: Server, _request: Request) -> Answer:
    return Answer("disabled")


@page("/contention", "dump current Envoy mutex contention stats (if enabled)")
def contention(_server: Server, _request: Request) -> Answer:
    return Answer("Mutex contention tracing is not enabled. To enable, run Envoy with flag --enable-mutex-tracing.")


@page(
    "/init_dump",
    "dump current Envoy init manager information (experimental)",
    (
        "mask",
        "The desired component to dump unready targets. The mask is parsed as a Protobuf::FieldMask. For example, get "
        "the unready targets of all listeners with /init_dump?mask=listener`",
    ),
)
def init_dump(_server: Server, _request: Request) -> Answer:
    return Answer(dump({}), content_type=JSON)


_NO_HEAP_PROFILE = "Heap profile is not implemented in current build"
_ENABLE = "enable"
_CHOICES = "; One of (y, n)"


def _profiler(message: str) -> Make:
    """Envoy looks at the parameter first, and only then at whether it can."""

    def answer(_server: Server, request: Request) -> Answer:
        if request.query not in ({_ENABLE: "y"}, {_ENABLE: "n"}):
            return Answer("?enable=<y|n>\n", 400)
        return Answer(message, 501)

    return answer


def _refuse(message: str) -> Make:
    return lambda _server, _request: Answer(message, 501)


page(
    "/allocprofiler",
    "enable/disable the allocation profiler (if supported)",
    (_ENABLE, f"enable/disable the allocation profiler{_CHOICES}"),
    changes=True,
)(_profiler("The current build does not support allocation profiler"))
page(
    "/cpuprofiler", "enable/disable the CPU profiler", (_ENABLE, f"enables the CPU profiler{_CHOICES}"), changes=True
)(_profiler("The current build does not support CPU profiler"))
page(
    "/heapprofiler",
    "enable/disable the heap profiler",
    (_ENABLE, f"enable/disable the heap profiler{_CHOICES}"),
    changes=True,
)(_refuse("The current build does not support heap profiler"))
page("/heap_dump", "dump current Envoy heap (if supported)")(_refuse(_NO_HEAP_PROFILE))
page("/peak_heap_dump", "dump peak Envoy heap (if supported)")(_refuse(_NO_HEAP_PROFILE))
page("/memory/tcmalloc", "print TCMalloc stats")(_refuse("TCMalloc stats are not available in current build"))
