"""Bookinfo's reviews: v1 shows no stars, v2 black ones, v3 red ones; the stars come from ratings, through the proxy."""

from service import Answer, Request, arguments, as_json, call, serve

TEXTS = {
    "Reviewer1": "An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!",
    "Reviewer2": "Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays.",
}
COLORS = {"v1": None, "v2": "black", "v3": "red"}


def reviews(request: Request, number: str, version: str, mesh: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [{"reviewer": who, "text": text} for who, text in TEXTS.items()]
    color = COLORS[version]
    if color is None:
        return found
    try:
        stars = call(mesh, "ratings", f"/ratings/{number}", request.headers)["ratings"]
    except (OSError, ValueError) as error:
        return [{**review, "rating": {"error": str(error)}} for review in found]
    return [{**review, "rating": {"stars": stars[review["reviewer"]], "color": color}} for review in found]


def main() -> None:
    parser = arguments(9083)
    parser.add_argument("--version", choices=COLORS, default="v1")
    options = parser.parse_args()

    def answer(request: Request) -> Answer:
        _, name, number = (request.path + "//").split("/")[:3]
        if name != "reviews" or not number.isdigit():
            return as_json({"error": "GET /reviews/<number>"}, 404)
        found = reviews(request, number, options.version, options.mesh)
        return as_json({"id": int(number), "version": options.version, "reviews": found})

    serve(options, answer)


if __name__ == "__main__":
    main()
