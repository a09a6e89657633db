from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders, read_header, write_header


def test_a_repeated_header_is_judged_by_its_joined_value() -> None:
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
    assert headers.get("a") == "1,3"
    assert headers.get_all("a") == ["1", "3"]
    assert "b" in headers and "c" not in headers


def test_set_replaces_in_place_and_removes_repetitions() -> None:
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
    headers.set("a", "9")
    assert headers.pairs == [("a", "9"), ("b", "2")]
    headers.set("c", "4")
    assert headers.pairs[-1] == ("c", "4")


def test_the_index_follows_every_change() -> None:
    headers = Headers([("a", "1")])
    assert headers.get("b") is None
    headers.add("b", "2")
    headers.add("b", "3")
    assert headers.get("b") == "2,3"
    headers.add_new(("c", "4"), ("d", "5"))
    assert headers.get("d") == "5"
    headers.append("a", "x")
    assert headers.get("a") == "1,x"
    headers.remove("b")
    assert "b" not in headers
    headers.remove_if(frozenset({"c", "zzz"}))
    assert headers.pairs == [("a", "1,x"), ("d", "5")]
    assert headers.get("c") is None
    headers.replace([("q", "1")])
    assert headers.get("q") == "1" and headers.get("a") is None


def test_pseudo_headers_are_read_and_written_by_name() -> None:
    request = RequestHeaders("GET", "/a", "host", [("x", "1")])
    assert read_header(request, ":path") == "/a"
    assert read_header(request, "host") == "host"
    write_header(request, ":authority", "other")
    assert request.authority == "other"
    response = ResponseHeaders(200, [])
    assert read_header(response, ":status") == "200"
    write_header(response, ":status", "404")
    assert response.status == 404


def test_byte_size_counts_names_and_values() -> None:
    assert Headers([("ab", "cde"), ("f", "")]).byte_size() == 6
