from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.errors import InvalidIdError
from loadstone.transport import HttpUrl, origin_of, redact

WORDS = st.text("abcdefgh-_.", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://PACS.example.org/x", "https://pacs.example.org"),
        ("https://pacs.example.org:443/x?y", "https://pacs.example.org"),
        ("HTTP://127.0.0.1:8042", "http://127.0.0.1:8042"),
        ("http://[::1]:80/x", "http://[::1]"),
        ("https://user:secret@pacs:8443?x", "https://pacs:8443"),
        ("http://bücher.example/x", "http://xn--bcher-kva.example"),
    ],
)
def test_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    """An origin is canonical: lower case, without the scheme's own port, without user and path."""
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pacs/x",
        "file:///etc/passwd",
        "ftp://host/x",
        "http:///x",
        "http://host:99999/x",
        "http://host:0/",
        "http://good\\@evil/x",
        "http://host/x\r\nX-Injected: 1",
        "http://ho st/x",
        "http://[::1/x",
        "http://\ud800/x",
        "wadors:https://host/x",
    ],
)
def test_what_is_no_http_url_is_refused(url: str) -> None:
    """A URL that parsers could understand differently, or that is none, is an error at once."""
    with pytest.raises(InvalidIdError):
        HttpUrl.parse(url)


def test_url_is_taken_apart() -> None:
    """The parts are what will be used: lower-case host, known port, target with query, decoded user."""
    url = HttpUrl.parse("https://us%40er:p%3Aw@PACS/a;v=1?b=c#d")

    assert (url.scheme, url.host, url.port, url.target) == ("https", "pacs", 443, "/a;v=1?b=c")
    assert (url.user, url.password) == ("us@er", "p:w")
    assert str(url) == "https://pacs/a;v=1?b=c"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@pacs/a/b?PatientName=DOE&frame=3", "https://pacs/a/b?PatientName=***&frame=3"),
        ("wadouri:https://u:p@pacs/wado?requestType=WADO", "wadouri:https://pacs/wado?requestType=WADO"),
        ("https://pacs/a;jsessionid=SECRET/b?DOE^JOHN", "https://pacs/a;***/b?***"),
        ("https://pacs/a#access_token=SECRET", "https://pacs/a"),
        ("https://u:pa/ss@pacs/a", "https://***"),
        ("https://pacs/a?frame=DOE JOHN", "https://pacs/a?frame=***"),
        ("dicomfile:/data/ct?frame=2", "dicomfile:/data/ct?frame=2"),
        ("http://pacs/a\nforged log line", "http://pacs/a?forged log line"),
        ("http://[::1]:8042/a", "http://[::1]:8042/a"),
    ],
)
def test_redacted_url_keeps_where_and_drops_who(url: str, shown: str) -> None:
    """Scheme, host and path stay; values of the query, users, session ids and fragments do not."""
    assert redact(url) == shown


@given(user=WORDS, path=WORDS, name=WORDS)
def test_no_secret_survives_redaction(user: str, path: str, name: str) -> None:
    """Wherever a URL may carry a secret, the redacted one does not carry it."""
    url = f"https://{user}:CANARY@host/{path};s=CANARY?{name}=CANARY&CANARY#CANARY"

    assert "CANARY" not in redact(url)


@given(st.text())
def test_redaction_never_fails(text: str) -> None:
    """Whatever is shown to it, `redact` answers, on one line."""
    assert "\n" not in redact(text)
