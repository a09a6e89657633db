"""The page in headless Chromium: what a person meets with eyes, hands and a small screen."""

from collections.abc import Iterator

import pytest

from tests.admin.conftest import BOOTSTRAP, Client, Start
from tests.admin.home.browser import Tab, browser, chromium
from tests.admin.home.conftest import failed, served
from tests.admin.home.test_home import HOSTILE

pytestmark = pytest.mark.skipif(chromium() is None, reason="chromium is not installed")

LONG = "outbound|9080|v1|" + "reviews-with-a-very-long-name." * 5 + "svc.cluster.local"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Tab]:
    with browser() as opened:
        yield opened


@pytest.fixture
def tab(chrome: Tab) -> Tab:
    chrome.size(1280)
    chrome.events.clear()
    return chrome


def url(admin: Client) -> str:
    return f"http://127.0.0.1:{admin.port}/"


def busy(start: Start, name: str = "reviews") -> Client:
    """A proxy with traffic and trouble, whose cluster has that name."""
    admin = start(BOOTSTRAP.replace("name: reviews\n", f"name: '{name}'\n").replace("reviews}", f"'{name}'}}"))
    served(admin, name, times=50)
    failed(admin, name)
    failed(admin, "ratings", flags=("UH",), details="no_healthy_upstream")
    return admin


def test_script_and_policy_agree(start: Start, tab: Tab) -> None:
    admin = busy(start, HOSTILE)
    failed(admin, HOSTILE, details=HOSTILE, flags=(HOSTILE,))
    tab.open(url(admin))
    # The script is at work, and has made the page anew.
    tab.wait("document.getElementById('pause').dataset.state === 'live'")
    tab.run("window.before = document.querySelector('.note').textContent")
    tab.wait("document.querySelector('#now p.note').textContent.includes('over the last')")
    assert tab.run("window.pwned") is None
    assert tab.run("document.images.length") == 0
    assert tab.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_screen(start: Start, tab: Tab, width: int, scheme: str) -> None:
    admin = busy(start, LONG)
    tab.size(width, scheme=scheme)
    tab.open(url(admin))
    tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert tab.run("document.documentElement.scrollWidth") <= width
    # Nothing sticks out of its card either.
    assert tab.run(
        "Array.from(document.querySelectorAll('section *')).filter((each) => each.checkVisibility() && "
        "!each.closest('svg, thead, option') && each.getBoundingClientRect().right > innerWidth)"
        ".map((each) => each.outerHTML)"
    ) == []  # fmt: skip


# Text whose contrast with what lies behind it is below what WCAG 2 asks for (AA: 4.5, large text 3).
CONTRAST = """
(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (each) => {
    for (; each; each = each.parentElement) {
      const color = channels(getComputedStyle(each).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (!walker.currentNode.nodeValue.trim() || each.closest('script, noscript') || !each.checkVisibility()) continue;
    const style = getComputedStyle(each);
    const [a, b] = [light(channels(style.color)), light(behind(each))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) found.push(walker.currentNode.nodeValue);
  }
  return found;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(start: Start, tab: Tab, scheme: str) -> None:
    tab.size(1280, scheme=scheme)
    tab.open(url(busy(start)) + "#cluster-reviews")
    tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    dark = tab.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0] < 128")
    assert dark is (scheme == "dark")
    assert tab.run(CONTRAST) == []


FOCUSED = "(() => { const e = document.activeElement; return e === document.body ? '' : e.dataset.n || '?'; })()"
NUMBER = """
(() => {
  const all = Array.from(document.querySelectorAll('a, button, input, select, summary'))
    .filter((each) => each.checkVisibility());
  all.forEach((each, n) => { each.dataset.n = String(n); });
  return all.length;
})()
"""


def test_the_keyboard_reaches_everything_in_order(start: Start, tab: Tab) -> None:
    tab.open(url(busy(start)))
    tab.run("document.getElementById('pause').click()")
    count = tab.run(NUMBER)
    reached = []
    for _ in range(count):
        tab.press("Tab")
        reached.append(tab.run(FOCUSED))
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert tab.run("document.activeElement.getBoundingClientRect().left") >= 0
    assert reached == [str(n) for n in range(count)]


def test_skip_link_and_links(start: Start, tab: Tab) -> None:
    tab.open(url(busy(start)))
    tab.press("Tab")
    assert tab.run("document.activeElement.textContent") == "Skip to the content"
    tab.press("Enter")
    tab.wait("document.activeElement.id === 'main'")
    tab.press("Tab")
    assert tab.run("document.activeElement.textContent") == "ratings"
    tab.press("Enter")
    tab.wait("location.hash === '#cluster-ratings'")
    tab.run("document.querySelector('a[href=failures]').focus()")
    tab.press("Enter")
    tab.wait("location.pathname === '/failures'")
    assert "could not connect to reviews" in tab.run("document.body.textContent")


def test_details_open_by_key_and_stay_as_they_are(start: Start, tab: Tab) -> None:
    admin = busy(start)
    tab.open(url(admin))
    tab.run("window.same = document.querySelector('#cluster-reviews summary'); window.same.focus()")
    assert tab.run("window.same.parentElement.open") is True
    tab.press("Enter")
    assert tab.run("window.same.parentElement.open") is False
    for _ in range(7):
        failed(admin)
    tab.wait("document.querySelector('#failures td.n').textContent === '8'")
    assert tab.run("document.querySelector('#cluster-reviews summary') === window.same") is True
    assert tab.run("document.activeElement === window.same && !window.same.parentElement.open") is True


def test_what_changes_is_taken_over(start: Start, tab: Tab) -> None:
    admin = start(BOOTSTRAP)
    tab.open(url(admin))
    assert tab.run("document.querySelector('#failures .empty').textContent") == "Nothing has failed."
    failed(admin)
    tab.wait("document.getElementById('verdict').textContent.includes('reviews is failing')")
    tab.wait("document.querySelectorAll('#failures tbody tr').length === 1")
    # What fails shows its endpoints by itself.
    assert tab.run("document.getElementById('cluster-reviews-endpoints').open") is True
    assert tab.run("document.title") == "failing: meshproxy"
    assert tab.run("document.querySelector('.clusters > tbody').id") == "cluster-reviews"
    # The other cluster moves to the front, and the rows stay the same elements.
    tab.run("window.row = document.getElementById('cluster-reviews')")
    admin.process.ctx.failures._rows.clear()
    failed(admin, "ratings", flags=("UH",), details="no_healthy_upstream")
    served(admin, "reviews", times=500)
    tab.wait("document.querySelector('.clusters > tbody').id === 'cluster-ratings'")
    assert tab.run("document.getElementById('cluster-reviews') === window.row") is True
    assert tab.run("document.querySelectorAll('.clusters > tbody').length") == 2
    assert tab.complaints() == []


def test_pause_and_a_proxy_that_is_gone(start: Start, tab: Tab) -> None:
    admin = start(BOOTSTRAP)
    tab.open(url(admin))
    tab.run("document.getElementById('pause').click()")
    assert tab.run("document.getElementById('pause').textContent") == "Resume"
    tab.run("window.fetch = () => Promise.reject(new Error('gone'))")
    tab.run("document.getElementById('pause').click()")
    tab.wait("document.getElementById('pause').dataset.state === 'lost'")
    assert tab.run("document.querySelector('header [role=status]').textContent").startswith("not reached since ")


def test_buttons_and_options(start: Start, tab: Tab) -> None:
    admin = busy(start)
    tab.open(url(admin))
    tab.run("document.querySelector('form[action=reset_counters] button').focus()")
    tab.press("Space")
    tab.wait("location.pathname === '/reset_counters' && document.body.textContent.trim() === 'OK'")
    tab.open(url(admin))
    tab.run("document.getElementById('options-stats').open = true")
    tab.run("document.querySelector('#options-stats input[name=filter]').value = 'membership_total'")
    tab.run("document.querySelector('#options-stats select').value = 'json'")
    tab.run("document.querySelector('#options-stats input[name=filter]').focus()")
    tab.press("Enter")
    tab.wait("location.pathname === '/stats'")
    # Fields that nobody filled in are not sent.
    assert tab.run("location.search") == "?filter=membership_total&format=json"


def test_grave_commands_ask_first(start: Start, tab: Tab) -> None:
    admin = busy(start)
    tab.open(url(admin))
    tab.run("window.confirm = (question) => { window.asked = question; return window.agreed; }")
    tab.run("document.querySelector('form[action=quitquitquit] button').click()")
    assert tab.run("window.asked") == "This ends the proxy. Do it?"
    assert "quit" not in admin.process.told
    tab.run("window.agreed = true; document.querySelector('form[action=quitquitquit] button').click()")
    tab.wait("location.pathname === '/quitquitquit'")
    assert admin.process.told.count("quit") == 1


def test_without_script_it_is_reloaded(start: Start, tab: Tab) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(url(busy(start)))
        assert tab.run("document.querySelector('noscript meta[http-equiv=refresh]').content") == "10"
        assert tab.run("document.getElementById('pause')") is None
        assert "is failing" in tab.run("document.getElementById('verdict').textContent")
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("width", [360, 1280])
def test_what_a_screen_reader_is_told(start: Start, tab: Tab, width: int) -> None:
    tab.size(width)
    tab.open(url(busy(start)))
    tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    nodes = [
        (node.get("role", {}).get("value", ""), node.get("name", {}).get("value", ""))
        for node in tab.call("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
    ]
    roles = {role for role, _ in nodes}
    assert {"banner", "navigation", "main", "contentinfo", "table", "columnheader", "rowheader", "status"} <= roles
    regions = {name for role, name in nodes if role == "region"}
    assert {"Recent failures", "Clusters", "Listeners", "Routes", "Commands"} <= regions
    controls = {"button", "link", "textbox", "checkbox", "combobox", "DisclosureTriangle"}
    assert [role for role, name in nodes if role in controls and not name] == []
