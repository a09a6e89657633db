from meshproxy.config.errors import ConfigError, Problem, Problems
from meshproxy.process.accidents import Building, describe


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_one_line_and_the_place() -> None:
    text = describe(raised(KeyError("a\n b")))
    assert text.startswith("internal error: KeyError: 'a\\n b' (test_accidents.py:")
    assert describe(raised(ValueError("a\n b"))).startswith("internal error: ValueError: a b (")
    assert describe(RuntimeError()) == "internal error: RuntimeError"


def build(error: Exception | None) -> tuple[list[Problem], list[str]]:
    problems, failed = Problems(), list[str]()
    with Building(problems, "clusters['a']", failed):
        if error is not None:
            raise error
    return list(problems), failed


def test_what_goes_wrong_is_a_problem() -> None:
    assert build(None) == ([], [])
    name = "clusters['a'].name"
    assert build(ConfigError("no", "name")) == ([Problem(name, "no")], ["clusters['a']", name])
    assert build(ConfigError("no", "x.name", rooted=True)) == ([Problem("x.name", "no")], ["clusters['a']", "x.name"])
    assert build(ValueError("no"))[0] == [Problem("clusters['a']", "no")]
    (accident,), failed = build(KeyError("x"))
    assert (accident.path, failed) == ("clusters['a']", ["clusters['a']"])
    assert accident.reason.startswith("internal error: KeyError: 'x' (test_accidents.py:")
