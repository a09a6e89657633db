"""Which names a parameter means."""

import pytest

from meshproxy.admin.name_pattern import name_pattern


@pytest.mark.parametrize(
    "text, whole, found",
    [
        ("", True, ["reviews", "ratings", "\u00e9"]),
        ("r", False, ["reviews", "ratings"]),
        ("r", True, []),
        ("r.*s", True, ["reviews", "ratings"]),
        ("^re", False, ["reviews"]),
        ("\u00e9", True, ["\u00e9"]),
        (".", False, ["reviews", "ratings", "\u00e9"]),
    ],
)
def test_found(text: str, whole: bool, found: list[str]) -> None:
    assert list(filter(name_pattern(text, whole), ["reviews", "ratings", "\u00e9"])) == found


@pytest.mark.parametrize("text, reason", [("(", "missing ): ("), ("\udce9", "invalid UTF-8")])
def test_what_is_no_expression(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        name_pattern(text, whole=False)
    assert str(error.value) == reason
