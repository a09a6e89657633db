"""A message that remembers what was read from it.

Builders read configuration through a `View`, so that a field which is set but which nothing reads can be reported
instead of being silently without effect. `unread` makes that report once the builders are done.

    build_cluster(view):
        timeout = view.connect_timeout          # Duration: seconds, None where unset
        limit = view.max_requests               # wrapper: its value, None where unset
        view.name, view.lb_policy               # scalar and enum: the value
        view.load_assignment.endpoints          # message: a View (false where unset); repeated: a list of Views
        view.typed_extension_protocol_options   # map: a dict, of Views where the values are messages
        view.typed_config.unpack()              # Any: the View of what is packed in it

Everything else a View offers (`has`, `which`, `seconds`, `get`, `enum`, `take`, `ignore`, `reject`, `at`, `where`,
`type_name`, `settle`) bears a name that no field in Envoy's API has; `tests/config/test_view.py` keeps it so.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NoReturn

from google.protobuf.message import Message

from meshproxy.config.errors import ConfigError, Key, Problem, at, element, join, step
from meshproxy.config.packed import packed_name, unpack

_SCALAR, _SCALARS, _VALUE, _VALUES, _MESSAGE, _MESSAGES, _MAP, _MAP_OF_MESSAGES = range(8)

UNREAD = "set, but nothing here reads it: not supported"

_ASKED = object()
# Keys of `View._seen` that are no fields: all was taken, the View of what is packed, the fields to ignore, and what
# nobody had read when the View was settled.
_WHOLE, _PACKED, _IGNORED, _SETTLED = "*whole", "*packed", "*ignored", "*settled"

_DURATION = "google.protobuf.Duration"
_WRAPPERS = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)


class View:
    """One message, where it lies, and which of its fields were read. Setting fields is not its business."""

    # `_seen` has what was given out, by field; `_ASKED` where only presence was asked.
    __slots__ = ("_key", "_kinds", "_message", "_name", "_parent", "_present", "_seen")

    def __init__(
        self, message: Message, where: str = "", key: Key = None, *, parent: View | None = None, present: bool = True
    ) -> None:
        cls: Any = type(message)
        self._message: Any = message
        self._parent = parent
        self._name = where
        self._key = key
        self._present = present
        self._kinds = _field_kinds(cls)
        self._seen: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        seen = self._seen
        value = seen.get(name, _ASKED)
        if value is _ASKED:
            kind = self._kinds.get(name)
            if kind is None:
                raise AttributeError(f"{self._message.DESCRIPTOR.full_name} has no field {name!r}")
            value = seen[name] = getattr(self._message, name) if kind == _SCALAR else self._open(name, kind)
        return value

    def __bool__(self) -> bool:
        """Whether the message was set where it lies (`if view.cors:`)."""
        return self._present

    def __repr__(self) -> str:
        return f"<View of {self.type_name} at {self.where or 'the root'}>"

    def _open(self, name: str, kind: int) -> Any:
        value = getattr(self._message, name)
        if kind == _VALUE:
            plain = _plain(value) if self._message.HasField(name) else None
            if plain is not None and value.DESCRIPTOR.full_name == _DURATION and plain < 0:
                self.reject(name, "Invalid duration: Expected positive duration")
            return plain
        if kind == _MESSAGE:
            return View(value, name, parent=self, present=self._message.HasField(name))
        if kind == _MESSAGES:
            keys = [element(name, i, getattr(item, "name", None)) for i, item in enumerate(value)]
            return [View(item, name, key, parent=self) for key, item in zip(keys, value, strict=True)]
        if kind == _MAP_OF_MESSAGES:
            return {key: View(value[key], name, key, parent=self) for key in sorted(value)}
        if kind == _MAP:
            return dict(value)
        return [_plain(item) for item in value] if kind == _VALUES else list(value)

    @property
    def where(self) -> str:
        """The path of this message, as errors write it."""
        here = step(self._name, self._key)
        return join(self._parent.where, here) if self._parent is not None else here

    @property
    def type_name(self) -> str:
        """The full name of this message; of an Any, that of what is packed in it."""
        if (name := str(self._message.DESCRIPTOR.full_name)) == "google.protobuf.Any":
            return packed_name(self._message, self.where)
        return name

    def has(self, name: str) -> bool:
        """Whether a field with presence is set. What is inside it still has to be read."""
        self._seen.setdefault(name, _ASKED)
        return bool(self._message.HasField(name))

    def which(self, oneof: str) -> str | None:
        """The name of the field that is set in a oneof."""
        name: str | None = self._message.WhichOneof(oneof)
        if name is not None:
            self._seen.setdefault(name, _ASKED)
        return name

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field with presence (wrapper, duration, optional scalar), or `default` where it is unset."""
        value = getattr(self, name)
        return value if self._message.HasField(name) else default

    def seconds(self, name: str, default: float | None = None) -> float | None:
        """A Duration in seconds, or `default` where it is unset."""
        value: float | None = getattr(self, name)
        return default if value is None else value

    def enum(self, name: str) -> str:
        """The name of an enum field's value, such as `ROUND_ROBIN`; a number that has none is refused."""
        number = getattr(self, name)
        field: Any = self._message.DESCRIPTOR.fields_by_name[name]
        known = field.enum_type.values_by_number.get(number)
        if known is None:
            self.reject(name, f"no value of {field.enum_type.full_name} has the number {number}")
        return str(known.name)

    def take(self) -> Any:
        """The message itself; all of it counts as read."""
        self._seen[_WHOLE] = True
        return self._message

    def settle(self) -> None:
        """Nobody will read more of this: what nobody has read is noted, and everything below may go.

        For what there may be ten thousands of: otherwise all their Views live until `unread` has seen them.
        """
        found = unread(self)
        _forget(self)
        self._seen[_SETTLED] = found

    def unpack(self) -> View:
        """The View of what is packed in this Any."""
        view: View | None = self._seen.get(_PACKED)
        if view is None:
            view = self._seen[_PACKED] = View(unpack(self._message, self.where), parent=self)
        return view

    def ignore(self, *names: str, why: str) -> None:
        """Accept these fields, which mean nothing here; where they are set, that becomes a named warning."""
        self._seen.setdefault(_IGNORED, {}).update(dict.fromkeys(names, why))

    def reject(self, name: str, why: str) -> NoReturn:
        """Refuse what the field `name` says."""
        raise ConfigError(why, join(self.where, name), rooted=True)

    def at(self, name: str, key: Key = None) -> at:
        """A block in which errors are about the field `name` of this message."""
        return at(name, key, under=self.where)


def unread(view: View) -> list[Problem]:
    """A problem for every field below `view` that is set but that nothing read, and for every one that is ignored."""
    seen = view._seen
    if _WHOLE in seen:
        return []
    if (settled := seen.get(_SETTLED)) is not None:
        return list(settled)
    if (packed := seen.get(_PACKED)) is not None:
        return unread(packed)
    if view._message.DESCRIPTOR.full_name == "google.protobuf.Any":
        return [Problem(view.where, UNREAD)]
    ignored = seen.get(_IGNORED, {})
    found: list[Problem] = []
    for field, _ in view._message.ListFields():
        name = field.name
        if name in ignored:
            found.append(Problem(join(view.where, name), f"ignored: {ignored[name]}", "ignored"))
        elif name not in seen:
            found.append(Problem(join(view.where, name), UNREAD))
        elif view._kinds[name] in (_MESSAGE, _MESSAGES, _MAP_OF_MESSAGES):
            found.extend(_unread_below(view, name))
    return found


def _forget(view: View) -> None:
    """Cuts the Views below `view` loose from those above them, which would otherwise wait for the collector."""
    seen, view._seen = view._seen, {}
    for value in seen.values():
        for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,):
            if isinstance(child, View):
                _forget(child)


def _unread_below(view: View, name: str) -> list[Problem]:
    child = view._seen[name]
    if child is _ASKED:
        # Only its presence was asked: what it says has not been read.
        child = view._open(name, view._kinds[name])
    children = child.values() if isinstance(child, dict) else child if isinstance(child, list) else (child,)
    return [problem for each in children for problem in unread(each)]


def _plain(value: Any) -> Any:
    if value.DESCRIPTOR.full_name == _DURATION:
        return value.seconds + value.nanos / 1e9
    return value.value


@cache
def _field_kinds(cls: Any) -> dict[str, int]:
    return {field.name: _kind(field) for field in cls.DESCRIPTOR.fields}


def _kind(field: Any) -> int:
    inner = field.message_type
    if inner is None:
        return _SCALARS if field.is_repeated else _SCALAR
    if inner.GetOptions().map_entry:
        return _MAP if inner.fields_by_name["value"].message_type is None else _MAP_OF_MESSAGES
    if inner.full_name == _DURATION or inner.full_name in _WRAPPERS:
        return _VALUES if field.is_repeated else _VALUE
    return _MESSAGES if field.is_repeated else _MESSAGE
