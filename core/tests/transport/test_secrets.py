"""No name, token or password leaves the transport by a log, an error or a representation."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import TYPE_CHECKING

import pytest

from core.tests.transport.builders import CERTIFICATES, server_context, transport
from loadstone.errors import LoadstoneError
from loadstone.testing.faults import Answer, FaultServer, gzipped_zeros, many_headers, redirect
from loadstone.transport import BasicAuth, BearerAuth, HttpRequest, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

CANARIES = ("DOE^CANARY", "DOE%5ECANARY", "token-CANARY", "password-CANARY", "session-CANARY")
FAILURES: dict[str, Answer] = {
    "success": Answer(body=b"x"),
    "404": Answer(status=404, body=b"no DOE^CANARY here"),
    "401": Answer(status=401),
    "500": Answer(status=500),
    "reset": Answer(header_cut=0, end="reset"),
    "short": Answer(body=bytes(1000), body_cut=10, end="close"),
    "stall": Answer(header_cut=0, end="stall"),
    "drip": Answer(body=bytes(1000), drip=0.01),
    "not HTTP": Answer(raw=b"DOE^CANARY\r\n", end="close"),
    "bad header": Answer(raw=b"HTTP/1.1 200 OK\r\nDOE^CANARY\r\n\r\n", end="close"),
    "bad chunk": Answer(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nDOE^CANARY\r\n"),
    "framed twice": Answer(headers={"Transfer-Encoding": "chunked"}, body=b"DOE^CANARY"),
    "many headers": many_headers(200),
    "compressed": gzipped_zeros(100),
    "redirect": redirect("/b?PatientName=DOE^CANARY;session-CANARY"),
    "bad redirect": redirect("file:///DOE^CANARY"),
    "user in redirect": redirect("http://user:password-CANARY@127.0.0.1/b"),
    "too large": Answer(body=bytes(5000)),
}


def use(door: Transport, url: str) -> list[str]:
    """Fetch and stream; return all that can be seen of it."""
    request = HttpRequest(url, headers={"X-Api-Key": "token-CANARY", "Cookie": "session-CANARY"})
    seen = [repr(request), repr(door)]
    for get in (lambda: door.fetch(request, max_bytes=4000), lambda: door.stream(request, max_bytes=4000)):
        try:
            answer = get()
            seen.append(repr(answer))
            seen.append(repr(answer.headers))
            if not isinstance(getattr(answer, "body", None), bytes):
                with answer:  # type: ignore[union-attr]
                    list(answer)  # type: ignore[arg-type]
        except LoadstoneError as error:
            seen += traceback.format_exception(error)
            seen += [repr(error), repr(vars(error)), repr(pickle.loads(pickle.dumps(error)))]
    return seen


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Give all that is logged from DEBUG on."""
    caplog.set_level(logging.DEBUG)
    return lambda: "\n".join(f"{each.getMessage()} {each.args} {each.exc_text}" for each in caplog.records)


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_no_canary_is_seen(failure: Answer, secure: bool, logged: Callable[[], str]) -> None:
    """Whatever happens, URL, headers, credentials and what the server wrote are in no log, error or repr."""
    tls = server_context() if secure else None
    settings = {"ca_bundle": str(CERTIFICATES / "authority.pem"), "stall_seconds": 0.1, "total_seconds": 0.15}
    with FaultServer(tls=tls) as server:
        url = server.plan("/a", failure) + "?PatientName=DOE^CANARY&token=token-CANARY"
        auth = {server.url(): BearerAuth(lambda: "token-CANARY")}
        with transport(auth=auth, attempts=2, **settings) as door:
            seen = use(door, url) + use(door, url.replace("//", "//user:password-CANARY@"))

    everything = "\n".join([*seen, logged()])
    assert not [canary for canary in CANARIES if canary in everything]


def test_no_canary_is_seen_without_a_server(logged: Callable[[], str]) -> None:
    """The same holds where no server answers, for names that do not exist, and for URLs that are none."""
    server = FaultServer()
    urls = [
        server.url("/a?PatientName=DOE^CANARY"),
        "http://user:password-CANARY@no-such-host.invalid/a?DOE^CANARY",
        "https://user:password-CANARY@host:99999/?DOE^CANARY",
        "ftp://user:password-CANARY@host/?DOE^CANARY",
        "http://user:password-CANARY@ho st/?DOE^CANARY",
        "http://host/a?DOE^CANARY\r\nX: token-CANARY",
    ]
    seen: list[str] = []
    with transport(auth={server.url(): BasicAuth("user", "password-CANARY")}, attempts=1) as door:
        for url in urls:
            seen += use(door, url)
    with transport(proxy=server.url().replace("//", "//user:password-CANARY@"), attempts=1) as door:
        seen += use(door, urls[0])
    server.close()

    everything = "\n".join([*seen, logged()])
    assert not [canary for canary in CANARIES if canary in everything]


def test_what_others_do_with_urllib3_stays_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Only requests of the transport are kept out of urllib3's log, not those of the application."""
    import urllib3

    caplog.set_level(logging.DEBUG, "urllib3")
    with FaultServer() as server, transport() as door, urllib3.PoolManager() as theirs:
        url = server.plan("/a", Answer())
        door.fetch(url)

        assert caplog.records == []

        theirs.request("GET", url)

        assert any("/a" in each.getMessage() for each in caplog.records)
