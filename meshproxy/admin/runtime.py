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
        by_layer = [_text(values[key]) if key in values else "" for _, values in layers]
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
    runtime = server.ctx.runtime
    if not runtime.admin_layer:
        return Answer("No admin layer specified", 503)
    values = dict(next(values for name, values in runtime.layers if name == runtime.admin_layer))
    for key, text in request.query.items():
        if text:
            values[key] = _value(text)
        else:
            values.pop(key, None)
    runtime.set_layer(runtime.admin_layer, values)
    return Answer("OK\n")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _value(text: str) -> str | int | float | bool:
    """A number or a truth value where the text is one, else the text."""
    if text in ("true", "false"):
        return text == "true"
    if not text.isascii():
        return text
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
