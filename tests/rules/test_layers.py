"""Imports go one way: a room knows the rooms below it, a filter knows meshproxy.api."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "meshproxy"
# From the bottom up; rooms of one row may know each other.
LAYERS = (
    {"net", "http", "observe"},
    {"upstream"},
    {"routing"},
    {"downstream"},
    {"config"},
    {"xds"},
    {"admin"},
    {"agent"},
    {"process"},
)
HEIGHT = {room: height for height, row in enumerate(LAYERS) for room in row}
# What moves bytes has never heard of protobuf.
NO_PROTOBUF = ("net", "http", "observe", "upstream", "routing", "downstream")
PROTOBUF = ("google.protobuf", "envoy", "xds", "udpa", "validate")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Full names imported anywhere in ``path``, and where; those under TYPE_CHECKING name types, and are left out."""
    tree = ast.parse(path.read_text())
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = (PACKAGE.name, *path.relative_to(PACKAGE).parts)[: -node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def files(room: str) -> list[Path]:
    return sorted((PACKAGE / room).rglob("*.py"))


ROOMS = sorted(room for room in HEIGHT if (PACKAGE / room).is_dir())


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_rooms_below(room: str) -> None:
    upward = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in files(room)
        for name, line in imports(path)
        if name.startswith("meshproxy.") and HEIGHT.get(name.split(".")[1], -1) > HEIGHT[room]
    ]
    assert upward == []


@pytest.mark.parametrize("room", NO_PROTOBUF)
def test_rooms_that_move_bytes_know_no_protobuf(room: str) -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in files(room)
        for name, line in imports(path)
        if any(name == proto or name.startswith(f"{proto}.") for proto in PROTOBUF)
    ]
    assert found == []


def test_a_filter_knows_the_api_alone() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in files("filters")
        for name, line in imports(path)
        if name.startswith("meshproxy.") and not name.startswith(("meshproxy.api", "meshproxy.filters"))
    ]
    assert found == []


def test_the_init_container_knows_itself_alone() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in files("iptables")
        for name, line in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("meshproxy.iptables")
    ]
    assert found == []


def test_every_room_has_its_place() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert rooms - set(HEIGHT) == {"filters", "iptables"}
