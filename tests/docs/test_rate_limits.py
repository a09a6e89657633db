"""docs/rate-limits.md goes through examples/rate-limits.yaml."""

from tests.docs.sessions import Page

PAGE = Page("rate-limits.md", "rate-limits.yaml")


def test_pieces_are_taken_from_the_example() -> None:
    PAGE.check_pieces()


def test_sessions_print_what_they_show() -> None:
    PAGE.check_sessions()
