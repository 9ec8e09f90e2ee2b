from __future__ import annotations

import pickle

import pytest

from loadstone.errors import LoadstoneError
from loadstone.transport import Headers, HttpRequest, HttpResponse


def test_headers_are_found_whatever_their_case() -> None:
    """A field is found by its name in any case, keeps its spelling, and joins what occurs twice."""
    headers = Headers([("Content-Type", "a"), ("X", "1"), ("x", "2")])

    assert headers["content-TYPE"] == "a"
    assert headers["X"] == "1, 2"
    assert "CONTENT-type" in headers
    assert not Headers.__contains__(headers, 7)
    assert list(headers) == ["Content-Type", "x"]
    assert len(headers) == 2


def test_headers_are_equal_by_what_they_say() -> None:
    """Headers equal any mapping with the same fields; the case of names does not matter."""
    headers = Headers({"Accept": "x"})

    assert headers == {"ACCEPT": "x"}
    assert headers != {"Accept": "y"}
    assert headers != 1
    assert hash(headers) == hash(Headers({"accept": "x"}))


def test_request_is_changed_by_copying() -> None:
    """Each helper returns a changed request and leaves the first as it was."""
    request = HttpRequest("https://pacs/a", headers={"Accept": "x"})

    changed = (
        request.with_headers({"accept": "y", "X-Key": "k"}).without_headers("x-key").with_url("https://b/")
    )

    assert changed == HttpRequest("https://b/", headers={"Accept": "y"})
    assert request.headers == {"Accept": "x"}


@pytest.mark.parametrize("value", ["SECRET\r\nX: y", "SECRET\n", "SECRET\0", "SECRET\u20ac"])
def test_header_that_cannot_be_sent_is_refused_without_its_value(value: str) -> None:
    """A value with a line break or outside Latin-1 is an error that names the header only."""
    with pytest.raises(LoadstoneError, match="Authorization") as caught:
        HttpRequest("https://pacs/a", headers={"Authorization": value})

    assert "SECRET" not in str(caught.value)


def test_bad_name_and_method_are_refused() -> None:
    """A header's name is a token, the method is one that reads."""
    with pytest.raises(LoadstoneError, match="name"):
        HttpRequest("https://pacs/a", headers={"a b": "c"})
    with pytest.raises(LoadstoneError, match="POST"):
        HttpRequest("https://pacs/a", method="POST")


def test_messages_show_no_secret() -> None:
    """The representations have names of headers and redacted URLs."""
    request = HttpRequest("https://u:CANARY@pacs/a?x=CANARY", headers={"Cookie": "CANARY"})
    response = HttpResponse(200, Headers({"Set-Cookie": "CANARY"}), b"CANARY", "https://pacs/a?x=CANARY")

    assert "CANARY" not in repr(request) + repr(response) + repr(request.headers)
    assert "Cookie" in repr(request)
    assert repr(response) == "HttpResponse(200, 6 bytes, https://pacs/a?x=***)"


def test_messages_pickle() -> None:
    """A request and a response are values."""
    request = HttpRequest("https://pacs/a", headers={"Accept": "x"})

    assert pickle.loads(pickle.dumps(request)) == request
