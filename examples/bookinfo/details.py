"""Bookinfo's details: what a book is."""

from service import Answer, Request, arguments, as_json, serve

BOOK = {
    "title": "The Comedy of Errors",
    "author": "William Shakespeare",
    "year": 1595,
    "type": "paperback",
    "pages": 200,
    "publisher": "PublisherA",
    "language": "English",
    "ISBN-10": "1234567890",
    "ISBN-13": "123-1234567890",
}


def answer(request: Request) -> Answer:
    _, name, number = (request.path + "//").split("/")[:3]
    if name != "details" or not number.isdigit():
        return as_json({"error": "GET /details/<number>"}, 404)
    return as_json({"id": int(number), **BOOK})


if __name__ == "__main__":
    serve(arguments(9081).parse_args(), answer)
