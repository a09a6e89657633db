"""Bookinfo's product page: HTML made of what details and reviews answer through the proxy."""

from html import escape
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from service import Answer, Request, arguments, as_json, call, serve

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title} · Bookinfo</title>
<style>
  :root {{ color-scheme: light dark; --line: #8886; --soft: #8881; }}
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 0 auto; padding: 1rem; }}
  header {{ display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between; }}
  header, section {{ border-bottom: 1px solid var(--line); padding-bottom: 1rem; }}
  h1 {{ font-size: 1.6rem; line-height: 1.2; }}
  h2 {{ font-size: 1.1rem; }}
  form {{ display: flex; gap: .5rem; align-items: center; margin: 0; }}
  input {{ width: 8rem; }}
  input, button {{ font: inherit; padding: .3rem .6rem; }}
  dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; }}
  dt {{ opacity: .75; }}
  dd {{ margin: 0; overflow-wrap: anywhere; }}
  blockquote {{ margin: 0 0 1rem; padding: .6rem 1rem; background: var(--soft); border-radius: .4rem; }}
  .black {{ color: CanvasText; }}
  .red {{ color: #d22; }}
  [role=img] {{ letter-spacing: .1em; }}
  small {{ opacity: .75; }}
</style>
<header><strong>Bookinfo</strong>{login}</header>
<main>
<h1>{title}</h1>
<section><h2>Details</h2>{details}</section>
<section><h2>Reviews <small>{version}</small></h2>{reviews}</section>
</main>
<p><small>Every call on this page went through the proxy.</small></p>
</html>
"""
SIGN_IN = (
    '<form method="post" action="/login"><input name="user" aria-label="User" placeholder="jason" required>'
    "<button>Sign in</button></form>"
)
SIGN_OUT = '<form method="post" action="/logout"><span>{user}</span><button>Sign out</button></form>'
NAMES = {"author": "Author", "year": "Year", "type": "Type", "pages": "Pages", "publisher": "Publisher",
         "language": "Language", "ISBN-10": "ISBN-10"}  # fmt: skip


def ask(mesh: str, service: str, headers: Any) -> dict[str, Any]:
    """What ``service`` says of book 0, or {"error": why}."""
    try:
        found: dict[str, Any] = call(mesh, service, f"/{service}/0", headers)
    except (OSError, ValueError) as error:
        return {"error": str(error)}
    return found


def sorry(what: str, found: dict[str, Any]) -> str:
    return f"<p>Sorry, {what} are not available right now ({escape(found['error'])}).</p>"


def details_html(found: dict[str, Any]) -> str:
    if "error" in found:
        return sorry("details", found)
    rows = (f"<dt>{name}</dt><dd>{escape(str(found[key]))}</dd>" for key, name in NAMES.items())
    return f"<dl>{''.join(rows)}</dl>"


def stars_html(rating: dict[str, Any] | None) -> str:
    if rating is None:
        return ""
    if "error" in rating:
        return "<br><small>Ratings are not available right now.</small>"
    stars = int(rating["stars"])
    drawn = "★" * stars + "☆" * (5 - stars)
    return f'<br><span role="img" class="{escape(rating["color"])}" aria-label="{stars} of 5 stars">{drawn}</span>'


def reviews_html(found: dict[str, Any]) -> str:
    if "error" in found:
        return sorry("reviews", found)
    return "".join(
        f"<blockquote>{escape(review['text'])}<br><small>{escape(review['reviewer'])}</small>"
        f"{stars_html(review.get('rating'))}</blockquote>"
        for review in found["reviews"]
    )


def page(request: Request, mesh: str) -> Answer:
    cookie = SimpleCookie(request.headers.get("cookie", "")).get("user")
    user = request.headers.get("end-user") or (cookie.value if cookie else "")
    headers = {"x-request-id": request.headers.get("x-request-id"), "end-user": user}
    details, reviews = ask(mesh, "details", headers), ask(mesh, "reviews", headers)
    html = PAGE.format(
        title=escape(details.get("title", "A book")),
        login=SIGN_OUT.format(user=escape(user)) if user else SIGN_IN,
        details=details_html(details),
        version=escape(reviews.get("version", "")),
        reviews=reviews_html(reviews),
    )
    return Answer(200, "text/html; charset=utf-8", html)


def back(cookie: str) -> Answer:
    headers = (("location", "/productpage"), ("set-cookie", f"{cookie}; Path=/; HttpOnly; SameSite=Lax"))
    return Answer(303, "text/plain", "", headers)


def log_in(request: Request) -> Answer:
    user = parse_qs(request.body).get("user", [""])[0]
    if not (user.isascii() and user.isalnum()):
        return Answer(400, "text/plain", "A user's name is letters and digits.\n")
    return back(f"user={user}")


def main() -> None:
    options = arguments(9080).parse_args()

    def answer(request: Request) -> Answer:
        match request.method, request.path:
            case "GET", "/productpage":
                return page(request, options.mesh)
            case "POST", "/login":
                return log_in(request)
            case "POST", "/logout":
                return back("user=; Max-Age=0")
            case "GET", "/api/v1/products/0":
                return as_json(ask(options.mesh, "details", request.headers))
            case "GET", "/api/v1/products/0/reviews":
                return as_json(ask(options.mesh, "reviews", request.headers))
        return Answer(404, "text/plain", "Not found.\n")

    serve(options, answer)


if __name__ == "__main__":
    main()
