"""Paths that assemble while an error climbs, and problems collected on the way."""

import pytest

from meshproxy.config.errors import ConfigError, ConfigErrors, Problem, Problems, at, condense, element, join, step


@pytest.mark.parametrize(
    ("field", "key", "text"),
    [
        ("routes", None, "routes"),
        ("routes", 3, "routes[3]"),
        ("clusters", "a.b", "clusters['a.b']"),
        ("clusters", "it's", "clusters['it\\'s']"),
        ("clusters", "a\nb'", "clusters['a\\nb\\'']"),
    ],
)
def test_step(field: str, key: int | str | None, text: str) -> None:
    assert step(field, key) == text


@pytest.mark.parametrize(
    ("path", "rest", "text"), [("a", "b", "a.b"), ("", "b", "b"), ("a", "", "a"), ("a", "[0].b", "a[0].b")]
)
def test_join(path: str, rest: str, text: str) -> None:
    assert join(path, rest) == text


def test_only_lists_with_unique_names_are_known_by_name() -> None:
    assert element("listeners", 2, "http") == "http"
    assert element("listeners", 2, "") == 2
    assert element("http_filters", 2, "envoy.filters.http.cors") == 2


def test_the_path_assembles_while_the_error_climbs() -> None:
    with (
        pytest.raises(ConfigError) as raised,
        at("listeners", "http"),
        at("filter_chains", 0),
        at("routes", 3),
        at("match"),
    ):
        raise ConfigError("unclosed group")
    assert str(raised.value) == "listeners['http'].filter_chains[0].routes[3].match: unclosed group"


def test_a_value_error_of_a_room_below_becomes_a_config_error() -> None:
    with pytest.raises(ConfigError) as raised, at("routes", 1), at("safe_regex"):
        raise ValueError("missing )")
    assert str(raised.value) == "routes[1].safe_regex: missing )"
    assert isinstance(raised.value.__cause__, ValueError)


def test_other_exceptions_pass_untouched() -> None:
    with pytest.raises(KeyError), at("routes", 1):
        raise KeyError("bug")


def test_a_rooted_path_gains_no_steps() -> None:
    with pytest.raises(ConfigError) as raised, at("outer"), at("port", under="clusters['a']"):
        raise ConfigError("no")
    assert str(raised.value) == "clusters['a'].port: no"


def test_several_problems_climb_together() -> None:
    with pytest.raises(ConfigErrors) as raised, at("routes", 0):
        raise ConfigErrors([Problem("match", "a"), Problem("route", "b")])
    assert str(raised.value) == "routes[0].match: a\nroutes[0].route: b"


def test_a_fault_in_many_places_is_one_fault() -> None:
    many = [Problem(f"clusters['c[{i}]'].routes[{i}].x", "no") for i in range(10)] + [Problem("y", "no")]
    assert [str(problem) for problem in condense(many)] == [
        "clusters['c[0]'].routes[0].x: no",
        "clusters['c[1]'].routes[1].x: no",
        "clusters['c[2]'].routes[2].x: no (and 7 more like this)",
        "y: no",
    ]


class Fixed:
    def locate(self, path: str) -> str:
        return f"x.yaml:{len(path)}:1"


def test_problems_are_collected_with_their_positions() -> None:
    problems = Problems(Fixed())
    with problems.collect(), at("clusters", 0):
        raise ConfigError("first")
    with problems.collect():
        raise ConfigErrors([Problem("b", "second"), Problem("", "third", position="y:1:1")])
    problems.add("c", "harmless", "ignored")
    assert [str(problem) for problem in problems.errors] == [
        "x.yaml:11:1: clusters[0]: first",
        "x.yaml:1:1: b: second",
        "y:1:1: third",
    ]
    assert [str(problem) for problem in problems.ignored] == ["x.yaml:1:1: c: harmless"]
    with pytest.raises(ConfigErrors, match="second"):
        problems.check()


def test_warnings_alone_are_no_failure() -> None:
    problems = Problems()
    problems.add("a", "harmless", "ignored")
    problems.check()
    assert len(problems) == 1


def test_only_config_errors_are_collected() -> None:
    with pytest.raises(RuntimeError), Problems().collect():
        raise RuntimeError("bug")
