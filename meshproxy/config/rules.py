"""Every constraint that Envoy's descriptors carry, enforced by one walk over a message.

The constraints are the `validate.rules` options of protoc-gen-validate, which Envoy compiles into C++ and xds-protos
keeps. What a message type demands is worked out once, when the first message of that type is met; a walk then looks
only at the fields that are set, and at those that must not be missing. What is packed in an Any is walked as well,
where its type is known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from meshproxy.config.checks import Check, checks, nanoseconds
from meshproxy.config.errors import Key, Problem, element, join, step
from meshproxy.config.packed import unpack
from meshproxy.config.types import TYPED_STRUCTS, extension, is_known, type_name

REQUIRED = "value is required"

_VALUES = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
_TIMES = frozenset({"google.protobuf.Duration", "google.protobuf.Timestamp"})
_FREE = frozenset(f"google.protobuf.{kind}" for kind in ("Struct", "Value", "ListValue", "Empty", "FieldMask"))


def check_rules(message: Any, where: str = "") -> list[Problem]:
    """What in `message`, which lies at the path `where`, breaks a constraint."""
    walker = _Walker(where)
    walker.visit(message)
    return walker.problems


Visit = Callable[["_Walker", Any], None]


class _Walker:
    __slots__ = ("_path", "_where", "problems")

    def __init__(self, where: str) -> None:
        self._where = where
        self._path: list[tuple[str, Key]] = []
        self.problems: list[Problem] = []

    def visit(self, message: Any) -> None:
        cls: Any = type(message)
        plan = _plan(cls)
        fields = plan.fields
        present = message.ListFields()
        for field, value in present:
            visit = fields.get(field.name)
            if visit is not None:
                visit(self, value)
        if plan.demands:
            names = {field.name for field, _ in present}
            for name, reason in plan.demands:
                if name not in names:
                    self.report(name, None, reason)
        for oneof, reason in plan.oneofs:
            if message.WhichOneof(oneof) is None:
                self.report("", None, reason)

    def descend(self, name: str, key: Key, message: Any) -> None:
        self._path.append((name, key))
        self.visit(message)
        self._path.pop()

    def open(self, name: str, key: Key, packed: Any) -> None:
        """Descend into an Any whose type is known; one that is not is the builder's to refuse."""
        kind = type_name(packed.type_url)
        if not kind or kind in TYPED_STRUCTS or not is_known(kind):
            return
        self._path.append((name, key))
        self.visit(unpack(packed, self._here()))
        self._path.pop()

    def apply(self, name: str, key: Key, rules: list[Check], value: Any) -> None:
        """Report the first of these checks that fails."""
        for check in rules:
            if reason := check(value):
                self.report(name, key, reason)
                return

    def report(self, name: str, key: Key, reason: str) -> None:
        self.problems.append(Problem(join(self._here(), step(name, key)), reason))

    def _here(self) -> str:
        path = self._where
        for name, key in self._path:
            path = join(path, step(name, key))
        return path


class _Plan:
    """What one message type demands.

    `fields`: what to do with a field that is set; `demands`: fields that must be set, and what to say if they are not;
    `oneofs`: the same for groups of which one field must be set.
    """

    __slots__ = ("demands", "fields", "oneofs")

    def __init__(self, descriptor: Any) -> None:
        self.fields: dict[str, Visit] = {}
        self.demands: list[tuple[str, str]] = []
        self.oneofs: list[tuple[str, str]] = []
        options = descriptor.GetOptions().Extensions
        if options[extension("validate.disabled")] or options[extension("validate.ignored")]:
            return
        for field in descriptor.fields:
            self._add(field, _rules_of(field.GetOptions()))
        required = extension("validate.required")
        for oneof in descriptor.oneofs:
            if oneof.GetOptions().Extensions[required]:
                names = ", ".join(field.name for field in oneof.fields)
                self.oneofs.append((oneof.name, f"one of these fields is required: {names}"))

    def _add(self, field: Any, rules: Any) -> None:
        name: str = field.name
        if rules is not None and rules.message.skip:
            return
        specific = _specific(rules)
        demanded = rules is not None and (rules.message.required or getattr(specific, "required", False))
        # A field of a oneof is demanded through its oneof only.
        if demanded and field.containing_oneof is None:
            self.demands.append((name, REQUIRED))
        visit = _visit(field, rules, specific)
        if visit is None:
            return
        self.fields[name] = visit
        if not field.has_presence and specific is not None:
            # The default does not lie on the wire, so what the rules say of it is known now.
            empty: Any = () if field.is_repeated else field.default_value
            if reason := next(filter(None, (check(empty) for check in checks(specific, field.enum_type))), None):
                self.demands.append((name, reason))


@cache
def _plan(cls: Any) -> _Plan:
    return _Plan(cls.DESCRIPTOR)


def _rules_of(options: Any) -> Any:
    """The FieldRules of a field, or None."""
    rules = extension("validate.rules")
    return options.Extensions[rules] if options.HasExtension(rules) else None


def _specific(rules: Any) -> Any:
    """The rules for the type of the field (`StringRules`, `RepeatedRules`, ...), if there are any."""
    kind = rules.WhichOneof("type") if rules is not None else None
    return getattr(rules, kind) if kind is not None else None


def _visit(field: Any, rules: Any, specific: Any) -> Visit | None:
    """What to do with the value of this field where it is set; None where there is nothing to do."""
    name: str = field.name
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return _visit_map(name, message.fields_by_name, specific)
    if field.is_repeated:
        return _visit_list(name, field, specific)
    one = _visit_one(field, specific)
    return None if one is None else lambda walker, value: one(walker, name, None, value)


VisitOne = Callable[[_Walker, str, Key, Any], None]


def _visit_one(field: Any, specific: Any) -> VisitOne | None:
    """The same for one value, which lies at a name and a key."""
    found = checks(specific, field.enum_type) if specific is not None else []
    kind = field.message_type.full_name if field.type == FieldDescriptor.TYPE_MESSAGE else ""
    if kind in _VALUES:
        return (lambda walker, name, key, value: walker.apply(name, key, found, value.value)) if found else None
    if kind in _TIMES:
        return (lambda walker, name, key, value: walker.apply(name, key, found, nanoseconds(value))) if found else None
    if kind == "google.protobuf.Any":
        return lambda walker, name, key, value: _visit_any(walker, name, key, value, specific)
    if kind in _FREE:
        return None
    if kind:
        return lambda walker, name, key, value: walker.descend(name, key, value)
    return (lambda walker, name, key, value: walker.apply(name, key, found, value)) if found else None


def _visit_any(walker: _Walker, name: str, key: Key, packed: Any, specific: Any) -> None:
    for word in ("in", "not_in"):
        urls = getattr(specific, word, ())
        if urls and (packed.type_url in urls) != (word == "in"):
            walker.report(name, key, f"type URL must {'be' if word == 'in' else 'not be'} in list {list(urls)}")
    walker.open(name, key, packed)


def _visit_list(name: str, field: Any, specific: Any) -> Visit | None:
    whole = checks(specific) if specific is not None else []
    items = specific.items if specific is not None and specific.HasField("items") else None
    one = None if items is not None and items.message.skip else _visit_one(field, _specific(items))
    if not whole and one is None:
        return None

    def visit(walker: _Walker, values: Any) -> None:
        walker.apply(name, None, whole, values)
        if one is not None:
            for i, value in enumerate(values):
                one(walker, name, element(name, i, getattr(value, "name", None)), value)

    return visit


def _visit_map(name: str, entry: Any, specific: Any) -> Visit | None:
    whole = checks(specific) if specific is not None else []
    keys = checks(_specific(specific.keys)) if specific is not None and specific.HasField("keys") else []
    values = _specific(specific.values) if specific is not None and specific.HasField("values") else None
    one = _visit_one(entry["value"], values)
    if not whole and not keys and one is None:
        return None

    def visit(walker: _Walker, entries: Any) -> None:
        walker.apply(name, None, whole, entries)
        for key in sorted(entries):
            walker.apply(name, str(key), keys, key)
            if one is not None:
                one(walker, name, str(key), entries[key])

    return visit
