"""/runtime and /runtime_modify: the layers of runtime values."""

from typing import Any

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import Server

_USAGE = """usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN
       or send the parameters as form values
use an empty value to remove a previously added override"""


@page("/runtime", "print runtime values")
def runtime(server: Server, _request: Request) -> Answer:
    layers = server.ctx.runtime.layers
    entries: dict[str, Any] = {}
    for key in sorted({key for _, values in layers for key in values}):
        by_layer = [values[key].text if key in values else "" for _, values in layers]
        final = next((value for value in reversed(by_layer) if value), "")
        entries[key] = {"layer_values": by_layer, "final_value": final}
    return Answer(dump({"layers": [name for name, _ in layers], "entries": entries}), content_type=JSON)


@page(
    "/runtime_modify",
    "Adds or modifies runtime values as passed in query parameters. To delete a previously added key, use an empty "
    "string as the value. Note that deletion only applies to overrides added via this endpoint; values loaded from "
    "disk can be modified via override but not deleted. E.g. ?key1=value1&key2=value2...",
    changes=True,
)
def runtime_modify(server: Server, request: Request) -> Answer:
    if not request.query:
        return Answer(_USAGE, 400)
    try:
        server.ctx.runtime_layers.modify(request.query)
    except (LookupError, ValueError) as error:
        return Answer(str(error), 503)
    return Answer("OK\n")
