"""What is filled in cannot become HTML by itself."""

from meshproxy.admin.home.html import Html, fill, join, safe, wire


def test_what_is_not_html_is_escaped() -> None:
    assert fill("<b>{name}</b>", name='<i> & "quoted" \'single\'') == (
        "<b>&lt;i&gt; &amp; &quot;quoted&quot; &#x27;single&#x27;</b>"
    )
    assert fill("<b>{name}</b>", name=Html("<i>")) == "<b><i></b>"
    assert fill("{one}{two}", one=None, two=7) == "7"


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    assert fill("{name}", name="{other}", other="x") == "{other}"
    assert isinstance(fill("{name}", name="x"), Html)


def test_join() -> None:
    assert join(["<", Html("<br>"), ">"], ", ") == "&lt;, <br>, &gt;"


def test_what_does_not_show_is_marked() -> None:
    assert safe("a\x00b\u202ec\nd") == "a\ufffdb\ufffdc\ufffdd"


def test_all_of_it_is_ascii() -> None:
    assert wire("ü → \ud800") == "&#252; &#8594; &#55296;"
