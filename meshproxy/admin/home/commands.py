"""The commands of the admin interface: links, forms and buttons."""

import re
from collections.abc import Iterator

from meshproxy.admin.home.html import EMPTY, Html, fill, join
from meshproxy.admin.pages import PAGES, Page, Parameter

_HEAD = """<section id="commands" aria-labelledby="commands-title">
<h2 id="commands-title">Commands</h2>
<table class="commands">
<thead><tr><th scope="col">Command</th><th scope="col">What it does</th></tr></thead>
<tbody>
"""
_ROW = '<tr>\n<th scope="row" data-label="Command">{command}</th>\n<td data-label="Does">{help}{options}</td>\n</tr>\n'
_BUTTON = '<form action="{path}" method="post"{asks}><button>{path}</button></form>'
_OPTIONS = """<details id="options-{path}"><summary>Options</summary>
<form action="{path}" method="{method}"{asks}>
{fields}<button>{path} with these</button>
</form></details>"""
_FIELD = '<label><span>{name}</span> {control} <span class="note">{help}</span></label>\n'

# What nobody should do by a slip of the hand: the script asks first.
_GRAVE = {
    "quitquitquit": "This ends the proxy. Do it?",
    "drain_listeners": "Clients will be told to go elsewhere. Do it?",
    "healthcheck/fail": "This proxy will call itself unhealthy. Do it?",
}
# Parameters that mean something by being there.
_FLAGS = frozenset(
    {"usedonly", "invert_filter", "text_readouts", "include_eds", "graceful", "inboundonly", "skip_exit"}
)
_CHOICES = re.compile(r"One of \(([^)]*)\)")


def commands() -> Iterator[Html]:
    """A link for what only shows something, a button for what changes something."""
    yield Html(_HEAD)
    for path, each in sorted(PAGES.items()):
        if path != "/":
            yield _row(path[1:], each)
    yield Html("</tbody></table>\n</section>\n")


def _row(path: str, each: Page) -> Html:
    asks = fill(' data-asks="{question}"', question=_GRAVE[path]) if path in _GRAVE else EMPTY
    command = fill(_BUTTON if each.changes else '<a href="{path}">{path}</a>', path=path, asks=asks)
    options = EMPTY
    if each.parameters:
        fields = join(map(_field, each.parameters))
        options = fill(_OPTIONS, path=path, method="post" if each.changes else "get", fields=fields, asks=asks)
    return fill(_ROW, command=command, help=each.help, options=options)


def _field(parameter: Parameter) -> Html:
    name = parameter.name
    if name in _FLAGS:
        control = fill('<input type="checkbox" name="{name}">', name=name)
    elif found := _CHOICES.search(parameter.help):
        choices = join([fill("<option>{choice}</option>", choice=each) for each in found[1].split(", ")])
        control = fill('<select name="{name}"><option></option>{choices}</select>', name=name, choices=choices)
    else:
        control = fill('<input type="text" name="{name}">', name=name)
    return fill(_FIELD, name=name, control=control, help=parameter.help)
