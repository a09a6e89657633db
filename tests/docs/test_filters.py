"""docs/filters.md does what it says: its examples run, and what it names is there."""

import re
import types
from pathlib import Path

import pytest

from meshproxy import api
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import find_extension
from meshproxy.filters import TABLE
from meshproxy.http.filter import HttpFilter
from meshproxy.http.stream import Stream
from meshproxy.testing import Bench

PAGE = Path(__file__).parents[2] / "docs" / "filters.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def page() -> types.ModuleType:
    module = types.ModuleType("page")
    exec(compile("\n".join(BLOCKS), str(PAGE), "exec"), module.__dict__)
    return module


def names(pattern: str) -> list[str]:
    found = re.findall(pattern, TEXT)
    assert found
    return sorted(set(found))


@pytest.mark.parametrize("name", re.findall(r"^def (test_\w+)", TEXT, re.MULTILINE))
def test_the_tests_of_the_page(name: str, page: types.ModuleType) -> None:
    getattr(page, name)()


def configured(price: int, name: str = "tally") -> dict[str, object]:
    struct = {"type_url": "type.googleapis.com/example.v1.Tally", "value": {"price": price}}
    return {"@type": "type.googleapis.com/xds.type.v3.TypedStruct", **struct}


def test_the_filter_is_configured_by_a_typed_struct(page: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    find_extension.cache_clear()
    monkeypatch.setitem(TABLE, "example.v1.Tally", "http.buffer:Tally")
    monkeypatch.setattr("meshproxy.filters.http.buffer.Tally", page.Tally, raising=False)
    routes = [
        {"match": {"prefix": "/free"}, "route": {"cluster": "c"}, "typed_per_filter_config": {"tally": configured(0)}},
        {"match": {"prefix": "/dear"}, "route": {"cluster": "c"}, "typed_per_filter_config": {"tally": configured(9)}},
        {"match": {"prefix": "/"}, "route": {"cluster": "c"}},
    ]
    bench = Bench([{"name": "tally", "typed_config": configured(3)}], routes=routes)
    prices = [bench.ask(path=path, headers=[("x-key", "ann")]).header("x-price") for path in ("/", "/dear", "/free")]
    assert prices == ["3", "9", None]
    assert bench.ask(path="/free").status == 200 and bench.ask().status == 402
    assert bench.stats("http.bench.tally") == {"admitted": 2, "refused": 1}
    with pytest.raises(ConfigError, match="price must not be negative"):
        Bench([{"name": "tally", "typed_config": configured(-1)}])
    find_extension.cache_clear()


def test_every_hook_is_on_the_page() -> None:
    hooks = {name for name in vars(HttpFilter) if name.startswith("on_")}
    assert hooks == set(re.findall(r"^\| `(on_\w+)\(", TEXT, re.MULTILINE))


def test_what_the_page_names_is_there() -> None:
    for name in names(r"`(build_[a-z]+(?:_[a-z]+)?|read_data_source|struct_dict)`"):
        assert hasattr(api, name) or hasattr(HttpFilter, name), name
    for name in ("set_metadata", "set_state", "keep", "kept", "add_flag", "clear_route", "read_request", "peer"):
        assert hasattr(Stream, name), name


def test_its_links_lead_somewhere() -> None:
    for target in names(r"\]\(([^)#]+)\)"):
        assert (PAGE.parent / target).exists(), target
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in TEXT.splitlines() if line.startswith("#")}
    assert set(names(r"\]\(#([^)]+)\)")) <= headings
