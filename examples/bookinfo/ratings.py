"""Bookinfo's ratings: how many stars each reviewer gave."""

from service import Answer, Request, arguments, as_json, serve


def answer(request: Request) -> Answer:
    _, name, number = (request.path + "//").split("/")[:3]
    if name != "ratings" or not number.isdigit():
        return as_json({"error": "GET /ratings/<number>"}, 404)
    return as_json({"id": int(number), "ratings": {"Reviewer1": 5, "Reviewer2": 4}})


if __name__ == "__main__":
    serve(arguments(9082).parse_args(), answer)
