"""docs/health-and-outliers.md goes through examples/health-and-outliers.yaml."""

from tests.docs.sessions import Page

PAGE = Page("health-and-outliers.md", "health-and-outliers.yaml")


def test_pieces_are_taken_from_the_example() -> None:
    PAGE.check_pieces()


def test_sessions_print_what_they_show() -> None:
    PAGE.check_sessions()
