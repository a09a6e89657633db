"""Little pictures as inline SVG: the mark of a state, and the chart of a rate. Words beside them say the same."""

from collections.abc import Sequence

from meshproxy.admin.home.html import EMPTY, Html, fill

_WIDTH, _HEIGHT = 96.0, 22.0

# A shape of its own for each state: told apart without colours.
_MARKS = {
    "failing": '<path d="M1.5 1.5l9 9m0-9l-9 9" fill="none" stroke="currentColor" stroke-width="3"/>',
    "errors": '<path d="M6 .5L12 11.5H0z"/>',
    "healthy": '<circle cx="6" cy="6" r="5.5"/>',
    "idle": '<circle cx="6" cy="6" r="4.5" fill="none" stroke="currentColor" stroke-width="2"/>',
}


def mark(state: str) -> Html:
    picture = f'<svg class="mark" viewBox="0 0 12 12" aria-hidden="true">{_MARKS[state]}</svg>'
    return Html(picture)


def sparkline(trend: Sequence[tuple[float, float]]) -> Html:
    """Rates over time, what failed of them filled from below; nothing where there are too few points."""
    most = max((done for done, _ in trend), default=0.0)
    if len(trend) < 2 or not most:
        return EMPTY
    step = _WIDTH / (len(trend) - 1)

    def line(values: Sequence[float], bottom: float) -> str:
        heights = [bottom - min(1.0, each / most) * (bottom - 1) for each in values]
        return " ".join([f"{i * step:.1f},{height:.1f}" for i, height in enumerate(heights)])

    failed = [each for _, each in trend]
    area = ""
    if any(failed):
        area = f'<polygon class="bad" points="0,{_HEIGHT} {line(failed, _HEIGHT)} {_WIDTH},{_HEIGHT}"/>'
    return fill(
        '<svg class="spark" viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
        '{area}<polyline points="{points}"/></svg>',
        width=f"{_WIDTH:.0f}",
        height=f"{_HEIGHT:.0f}",
        area=Html(area),
        points=line([done for done, _ in trend], _HEIGHT - 1),
    )
